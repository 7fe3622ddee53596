#include "client/cli/openmetrics.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace dimwatch::cli {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

// One metric family: samples by series, in the order of time.
class Family {
 public:
  Family(std::string name, std::string help) : name_(std::move(name)), help_(std::move(help)) {}

  void Add(const Labels& labels, const google::protobuf::Timestamp& time, double value) {
    std::string key;
    // Names and ids hold no character that needs escaping.
    for (const auto& [label, text] : labels) {
      key += (key.empty() ? "" : ",") + label + "=\"" + text + "\"";
    }
    series_[key].emplace_back(time.seconds() * 1000 + time.nanos() / 1'000'000, value);
  }

  // Prometheus keeps milliseconds and one sample for each: samples of one series that are closer
  // are set a millisecond apart.
  void AppendTo(std::string& text) {
    if (series_.empty()) return;
    text += "# TYPE " + name_ + " gauge\n# HELP " + name_ + " " + help_ + "\n";
    for (auto& [labels, samples] : series_) {
      std::stable_sort(samples.begin(), samples.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      std::int64_t last = samples.front().first - 1;
      for (const auto& [at, value] : samples) {
        last = std::max(at, last + 1);
        char time[32];
        std::snprintf(time, sizeof time, "%lld.%03d", static_cast<long long>(last / 1000),
                      static_cast<int>(last % 1000));
        text += name_ + "{" + labels + "} " + nlohmann::json(value).dump() + " " + time + "\n";
      }
    }
  }

 private:
  const std::string name_;
  const std::string help_;
  std::map<std::string, std::vector<std::pair<std::int64_t, double>>> series_;
};

void AppendEstimates(const RunHistory& history, const Labels& run, std::string& text) {
  Family mean("dimwatch_lid_mean", "Mean local intrinsic dimension of the cloud.");
  Family error("dimwatch_lid_standard_error", "Standard error of dimwatch_lid_mean.");
  Family rolling("dimwatch_lid_rolling_mean", "Mean of the last up to 5 complete means.");
  Family quantiles("dimwatch_lid_quantile", "Quantile of the pointwise LID.");
  Family points("dimwatch_lid_points", "Distinct finite points in the cloud.");
  Family invalid("dimwatch_lid_invalid_points", "Points without a LID of their own.");
  Family step("dimwatch_lid_step", "Optimizer step of the estimate.");
  Family fill("dimwatch_window_fill_ratio", "Share of the window that is filled.");
  Family recall("dimwatch_index_recall_ratio", "Measured share of true neighbors found.");
  Family recall_low("dimwatch_index_recall_low_ratio", "Lower end of its 95 % interval.");
  Family bias("dimwatch_lid_bias_bound_ratio",
              "At most so much of the mean is missing for neighbors that the index missed.");
  for (const v1::Estimate& estimate : history.estimates) {
    const google::protobuf::Timestamp& time = estimate.create_time();
    Labels labels = run;
    labels.emplace_back("probe", estimate.probe());
    if (estimate.has_mean()) mean.Add(labels, time, estimate.mean());
    if (estimate.has_standard_error()) error.Add(labels, time, estimate.standard_error());
    if (estimate.has_rolling_mean()) rolling.Add(labels, time, estimate.rolling_mean());
    points.Add(labels, time, static_cast<double>(estimate.points()));
    invalid.Add(labels, time, static_cast<double>(estimate.invalid()));
    step.Add(labels, time, static_cast<double>(estimate.step()));
    fill.Add(labels, time, estimate.window_fill());
    recall.Add(labels, time, estimate.recall());
    recall_low.Add(labels, time, estimate.recall_low());
    bias.Add(labels, time, estimate.bias_bound());
    labels.emplace_back("quantile", "");
    for (const v1::Quantile& quantile : estimate.quantiles()) {
      labels.back().second = nlohmann::json(quantile.quantile()).dump();
      quantiles.Add(labels, time, quantile.value());
    }
  }
  for (Family* family : {&mean, &error, &rolling, &quantiles, &points, &invalid, &step, &fill,
                         &recall, &recall_low, &bias}) {
    family->AppendTo(text);
  }
}

void AppendAttention(const RunHistory& history, const Labels& run, std::string& text) {
  Family mean("dimwatch_attention_dimension_mean", "Mean attention-graph dimension.");
  Family error("dimwatch_attention_dimension_standard_error",
               "Standard error of dimwatch_attention_dimension_mean.");
  Family prompts("dimwatch_attention_dimension_prompts", "Prompts that the mean is over.");
  Family complete("dimwatch_attention_dimension_complete", "1 if no prompt was lost.");
  Family info("dimwatch_attention_dimension_info", "How attention was counted.");
  Family step("dimwatch_attention_dimension_step", "Optimizer step of the maps.");
  for (const v1::AttentionEstimate& estimate : history.attention) {
    if (!estimate.has_standard_error()) continue;
    const google::protobuf::Timestamp& time = estimate.create_time();
    Labels labels = run;
    labels.emplace_back("probe", estimate.probe());
    mean.Add(labels, time, estimate.mean());
    error.Add(labels, time, estimate.standard_error());
    prompts.Add(labels, time, static_cast<double>(estimate.prompts()));
    complete.Add(labels, time, estimate.complete() ? 1 : 0);
    step.Add(labels, time, static_cast<double>(estimate.step()));
    labels.emplace_back("epsilon", nlohmann::json(estimate.config().epsilon()).dump());
    labels.emplace_back("relative", estimate.config().relative() ? "true" : "false");
    labels.emplace_back("heads", std::to_string(estimate.config().heads()));
    info.Add(labels, time, 1);
  }
  for (Family* family : {&mean, &error, &prompts, &complete, &info, &step}) {
    family->AppendTo(text);
  }
}

}  // namespace

std::string ToOpenMetrics(const RunHistory& history) {
  const Labels run = {{"project", history.project}, {"run", history.run_id}};
  std::string text;
  AppendEstimates(history, run, text);
  AppendAttention(history, run, text);

  Family active("dimwatch_signal_active", "1 while the signal is FIRING.");
  for (const v1::Signal& signal : history.signals) {
    Labels labels = run;
    labels.emplace_back("probe", signal.probe());
    labels.emplace_back("signal", signal.signal());
    active.Add(labels, signal.create_time(), signal.state() == v1::SIGNAL_STATE_FIRING ? 1 : 0);
  }
  Family stop("dimwatch_early_stop_recommended", "1 while the decision is STOP.");
  Family best("dimwatch_best_step", "Step whose checkpoint the signals recommend.");
  for (const v1::Decision& decision : history.decisions) {
    const bool stops =
        decision.verdict() == v1::VERDICT_STOP && decision.mode() != v1::POLICY_MODE_SHADOW;
    stop.Add(run, decision.create_time(), stops ? 1 : 0);
    if (decision.has_best_step()) {
      best.Add(run, decision.create_time(), static_cast<double>(decision.best_step()));
    }
  }
  for (Family* family : {&active, &stop, &best}) family->AppendTo(text);
  return text + "# EOF\n";
}

}  // namespace dimwatch::cli
