#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/convert.h"
#include "server/metrics.h"
#include "server/text.h"

namespace dimwatch::server {
namespace {

// As on the page: project="p",run="r".
using Labels = std::string;

enum Gauge {
  kLidMean,
  kLidRollingMean,
  kLidStandardError,
  kLidHarmonicMean,
  kLidHarmonicMeanStandardError,
  kLidQuantile,
  kLidPoints,
  kLidInvalidPoints,
  kLidDuplicateRatio,
  kLidNearDuplicateRatio,
  kLidStep,
  kLidTimestamp,
  kLidScale,
  kLidScaleStandardError,
  kLidScaleDistance,
  kLidScaleStep,
  kAttentionDimensionMean,
  kAttentionDimensionStandardError,
  kAttentionDimensionQuantile,
  kAttentionDimensionPrompts,
  kAttentionDimensionInvalidPrompts,
  kAttentionDimensionChange,
  kAttentionDimensionChangeStandardError,
  kAttentionDimensionComplete,
  kAttentionDimensionInfo,
  kAttentionDimensionStep,
  kAttentionDimensionTimestamp,
  kLidSubsampled,
  kWindowFillRatio,
  kIndexRecallRatio,
  kIndexRecallLowRatio,
  kLidBiasBoundRatio,
  kSignalActive,
  kSignalStep,
  kSignalInfo,
  kRunInfo,
  kEarlyStopRecommended,
  kBestStep,
  kDecisionInfo,
  kLastSample,
  kScalar,
  kGauges
};

struct NameAndHelp {
  const char* name;
  const char* help;
};

// In the order of Gauge.
constexpr std::array<NameAndHelp, kGauges> kTexts = {{
    {"dimwatch_lid_mean", "Mean local intrinsic dimension (LID) of the newest cloud of a probe."},
    {"dimwatch_lid_rolling_mean", "Mean of the last up to 5 complete mean LIDs of a probe."},
    {"dimwatch_lid_standard_error", "Standard error of dimwatch_lid_mean."},
    {"dimwatch_lid_harmonic_mean",
     "Harmonic mean of the pointwise LID, of the estimator mle only."},
    {"dimwatch_lid_harmonic_mean_standard_error", "Standard error of dimwatch_lid_harmonic_mean."},
    {"dimwatch_lid_quantile", "Quantile of the pointwise LID of the newest cloud."},
    {"dimwatch_lid_points", "Distinct finite points in the newest cloud."},
    {"dimwatch_lid_invalid_points", "Points without a LID of their own, left out of the mean."},
    {"dimwatch_lid_duplicate_ratio", "Share of the arrived rows that equal an earlier row."},
    {"dimwatch_lid_near_duplicate_ratio",
     "Share of the points that have a neighbor within a hundredth of the usual distance."},
    {"dimwatch_lid_step", "Optimizer step of the newest estimate of a probe."},
    {"dimwatch_lid_timestamp_seconds", "When the newest estimate was computed, since 1970."},
    {"dimwatch_lid_scale",
     "Gride dimension of the newest scale profile, from the neighbors n1 (scale) and 2 n1."},
    {"dimwatch_lid_scale_standard_error", "Standard error of dimwatch_lid_scale."},
    {"dimwatch_lid_scale_distance", "Mean distance of the two neighbors of dimwatch_lid_scale."},
    {"dimwatch_lid_scale_step", "Optimizer step of the newest scale profile."},
    {"dimwatch_attention_dimension_mean",
     "Mean attention-graph dimension of the newest prompts of a probe: how many positions all "
     "heads "
     "attend to. Higher is more expressive."},
    {"dimwatch_attention_dimension_standard_error",
     "Standard error of dimwatch_attention_dimension_mean."},
    {"dimwatch_attention_dimension_quantile",
     "Quantile of the attention-graph dimension over the newest prompts."},
    {"dimwatch_attention_dimension_prompts", "Prompts that the mean is over."},
    {"dimwatch_attention_dimension_invalid_prompts",
     "Prompts left out because an attention weight was not finite."},
    {"dimwatch_attention_dimension_change",
     "Mean change since the baseline step, over the prompts in both."},
    {"dimwatch_attention_dimension_change_standard_error",
     "Standard error of dimwatch_attention_dimension_change; paired."},
    {"dimwatch_attention_dimension_complete",
     "1 if no prompt was lost and the mean has an error, otherwise 0."},
    {"dimwatch_attention_dimension_info",
     "Always 1; how attention is counted, and the baseline step, are in the labels."},
    {"dimwatch_attention_dimension_step", "Optimizer step of the newest attention maps."},
    {"dimwatch_attention_dimension_timestamp_seconds",
     "When the newest attention-graph dimension was computed, since 1970."},
    {"dimwatch_lid_subsampled",
     "1 if overload left the newest estimate fewer points to average over, otherwise 0."},
    {"dimwatch_window_fill_ratio", "Share of the probe's window that is filled."},
    {"dimwatch_index_recall_ratio", "Measured share of true neighbors that the index found."},
    {"dimwatch_index_recall_low_ratio", "Lower end of the 95 % interval of the index's recall."},
    {"dimwatch_lid_bias_bound_ratio",
     "At most so much of dimwatch_lid_mean is missing from it for neighbors that the index "
     "missed."},
    {"dimwatch_signal_active", "1 while the signal is firing, otherwise 0."},
    {"dimwatch_signal_step", "Step of the estimate that brought the signal's present state."},
    {"dimwatch_signal_info", "Always 1; the label reason says why the signal fires."},
    {"dimwatch_run_info", "Always 1; what is known of a run is in the labels."},
    {"dimwatch_early_stop_recommended", "1 while the run's decision is STOP, otherwise 0."},
    {"dimwatch_best_step", "Step whose checkpoint the signals recommend; absent without a STOP."},
    {"dimwatch_decision_info", "Always 1; the decision and its reason are in the labels."},
    {"dimwatch_run_last_sample_timestamp_seconds",
     "When the last sample or scalar of a run arrived, since 1970."},
    {"dimwatch_scalar", "Newest value of a number that the job reports."},
}};

constexpr std::array kProbeSignals = {SignalKind::kExhausted,  SignalKind::kOverfitting,
                                      SignalKind::kMemorizing, SignalKind::kGeneralizing,
                                      SignalKind::kCollapsed,  SignalKind::kDiverging};

// The shortest text that reads back as `value`.
absl::string_view Shortest(double value, std::array<char, 32>& buffer) {
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

// Collects one page.
class Writer {
 public:
  explicit Writer(std::int64_t max_series) : max_series_(max_series) {}

  void Set(Gauge gauge, const Labels& labels, std::optional<double> value) {
    if (!value || !std::isfinite(*value)) return;
    if (out_.series >= max_series_) {
      ++out_.left_out;
      return;
    }
    ++out_.series;
    std::array<char, 32> buffer;
    absl::StrAppend(&lines_[gauge], kTexts[gauge].name, "{", labels, "} ", Shortest(*value, buffer),
                    "\n");
  }

  RunSeries Take() {
    for (std::size_t i = 0; i < kGauges; ++i) {
      if (lines_[i].empty()) continue;
      const auto& [name, help] = kTexts[i];
      absl::StrAppend(&out_.text, "# HELP ", name, " ", help, "\n# TYPE ", name, " gauge\n",
                      lines_[i]);
    }
    return std::move(out_);
  }

 private:
  std::int64_t max_series_;
  std::array<std::string, kGauges> lines_;
  RunSeries out_;
};

Labels With(Labels labels, absl::string_view name, std::string_view value) {
  absl::StrAppend(&labels, labels.empty() ? "" : ",", name, "=\"");
  for (const char c : PlainText(value)) {
    if (c == '\\' || c == '"') labels.push_back('\\');
    labels.push_back(c);
  }
  labels.push_back('"');
  return labels;
}

double Seconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

void WriteEstimate(const EstimateRecord& record, const Labels& labels, Writer& writer) {
  const CloudEstimate& estimate = record.estimate;
  writer.Set(kLidMean, labels, estimate.mean);
  writer.Set(kLidRollingMean, labels, record.rolling_mean);
  writer.Set(kLidStandardError, labels, estimate.standard_error);
  writer.Set(kLidHarmonicMean, labels, estimate.harmonic_mean);
  writer.Set(kLidHarmonicMeanStandardError, labels, estimate.harmonic_mean_standard_error);
  for (const Quantile& quantile : estimate.quantiles) {
    writer.Set(kLidQuantile, With(labels, "quantile", absl::StrCat(quantile.quantile)),
               quantile.value);
  }
  writer.Set(kLidPoints, labels, static_cast<double>(estimate.points));
  writer.Set(kLidInvalidPoints, labels, static_cast<double>(estimate.invalid));
  if (estimate.rows > 0) {
    writer.Set(kLidDuplicateRatio, labels,
               static_cast<double>(estimate.duplicate_rows) / static_cast<double>(estimate.rows));
  }
  if (estimate.queries > 0) {
    writer.Set(
        kLidNearDuplicateRatio, labels,
        static_cast<double>(estimate.near_duplicates) / static_cast<double>(estimate.queries));
  }
  writer.Set(kLidStep, labels, static_cast<double>(record.step.value));
  writer.Set(kLidTimestamp, labels, Seconds(record.create_time));
  writer.Set(kLidSubsampled, labels, record.subsampled_reason.empty() ? 0 : 1);
  writer.Set(kWindowFillRatio, labels, record.window_fill);
  writer.Set(kIndexRecallRatio, labels, estimate.recall);
  writer.Set(kIndexRecallLowRatio, labels, estimate.recall_low);
  writer.Set(kLidBiasBoundRatio, labels, estimate.bias_bound);
}

void WriteAttention(const AttentionRecord& record, const Labels& labels, Writer& writer) {
  const AttentionEstimate& estimate = record.estimate;
  if (estimate.standard_error) writer.Set(kAttentionDimensionMean, labels, estimate.mean);
  writer.Set(kAttentionDimensionStandardError, labels, estimate.standard_error);
  for (const Quantile& quantile : estimate.quantiles) {
    writer.Set(kAttentionDimensionQuantile,
               With(labels, "quantile", absl::StrCat(quantile.quantile)), quantile.value);
  }
  writer.Set(kAttentionDimensionPrompts, labels, static_cast<double>(estimate.prompts));
  writer.Set(kAttentionDimensionInvalidPrompts, labels, static_cast<double>(estimate.invalid));
  if (record.baseline_change) {
    writer.Set(kAttentionDimensionChange, labels, record.baseline_change->mean);
    writer.Set(kAttentionDimensionChangeStandardError, labels,
               record.baseline_change->standard_error);
  }
  writer.Set(kAttentionDimensionComplete, labels, record.complete ? 1 : 0);
  const AttentionSettings& settings = estimate.settings;
  Labels info = With(labels, "epsilon", absl::StrCat(settings.epsilon));
  info = With(std::move(info), "relative", settings.relative ? "true" : "false");
  info = With(std::move(info), "heads", absl::StrCat(settings.heads));
  info = With(std::move(info), "baseline_step",
              record.baseline_step ? absl::StrCat(record.baseline_step->value) : "");
  writer.Set(kAttentionDimensionInfo, info, 1);
  writer.Set(kAttentionDimensionStep, labels, static_cast<double>(record.step.value));
  writer.Set(kAttentionDimensionTimestamp, labels, Seconds(record.create_time));
}

// At most eight scales: kMaxScaleNeighbors.
void WriteProfile(const EstimateRecord& record, const Labels& labels, Writer& writer) {
  for (const ScalePoint& point : record.scale_profile->gride) {
    const Labels with = With(labels, "scale", absl::StrCat(point.neighbors / 2));
    writer.Set(kLidScale, with, point.dimension);
    writer.Set(kLidScaleStandardError, with, point.standard_error);
    writer.Set(kLidScaleDistance, with, point.distance);
  }
  writer.Set(kLidScaleStep, labels, static_cast<double>(record.step.value));
}

void WriteSignal(const RunView& view, const std::string& probe, SignalKind kind,
                 const Labels& labels, Writer& writer) {
  const Labels with = With(labels, "signal", Name(kind));
  bool firing = false;
  for (const Signal& signal : view.signals) {
    if (signal.kind != kind || signal.probe != probe) continue;
    firing = signal.state == SignalState::kFiring;
    writer.Set(kSignalStep, with, static_cast<double>(signal.step.value));
    if (firing) writer.Set(kSignalInfo, With(with, "reason", signal.reason), 1);
  }
  writer.Set(kSignalActive, with, firing ? 1 : 0);
}

void WriteInfo(const RunRecord& run, Labels labels, Writer& writer) {
  labels = With(std::move(labels), "name", run.display_name);
  labels = With(std::move(labels), "state", Name(run.state));
  labels = With(std::move(labels), "user", run.user);
  for (const auto& [key, value] : run.labels) {
    labels = With(std::move(labels), absl::StrCat("label_", key), value);
  }
  writer.Set(kRunInfo, labels, 1);
}

void WriteRun(const RunView& view, Writer& writer) {
  const Labels labels = With(With({}, "project", view.run.project), "run", view.run.run_id);
  WriteInfo(view.run, labels, writer);
  const Decision decision = ForJob(view.decision);
  writer.Set(kEarlyStopRecommended, labels, decision.verdict == Verdict::kStop ? 1 : 0);
  if (decision.best_step) {
    writer.Set(kBestStep, labels, static_cast<double>(decision.best_step->value));
  }
  writer.Set(
      kDecisionInfo,
      With(With(With(labels, "decision", Name(decision.verdict)), "mode", Name(decision.mode)),
           "reason", decision.reason),
      1);
  if (view.run.last_sample_time)
    writer.Set(kLastSample, labels, Seconds(*view.run.last_sample_time));
  for (const EstimateRecord& record : view.latest_estimates) {
    const Labels with = With(labels, "probe", record.probe);
    WriteEstimate(record, with, writer);
    for (const SignalKind kind : kProbeSignals) {
      WriteSignal(view, record.probe, kind, with, writer);
    }
  }
  for (const EstimateRecord& record : view.latest_profiles) {
    WriteProfile(record, With(labels, "probe", record.probe), writer);
  }
  for (const AttentionRecord& record : view.latest_attention) {
    WriteAttention(record, With(labels, "probe", record.probe), writer);
  }
  WriteSignal(view, "", SignalKind::kStalled, labels, writer);
  for (const ScalarRecord& scalar : view.latest_scalars) {
    writer.Set(kScalar, With(labels, "name", scalar.name), scalar.value);
  }
}

}  // namespace

RunSeries SeriesOf(const MonitorSnapshot& snapshot, std::int64_t max_series) {
  Writer writer(max_series);
  for (const std::shared_ptr<const RunView>& view : snapshot.runs) WriteRun(*view, writer);
  return writer.Take();
}

}  // namespace dimwatch::server
