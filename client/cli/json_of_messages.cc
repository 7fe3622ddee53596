#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <map>

#include "absl/time/time.h"
#include "client/cli/attention_text.h"
#include "client/cli/json.h"
#include "client/cli/scale_text.h"

namespace dimwatch::cli {
namespace {

// "ESTIMATOR_TWONN_GLOBAL" without its prefix: "TWONN_GLOBAL"; the number of a value from a newer
// server.
template <typename Enum>
std::string Suffix(Enum value, std::size_t prefix) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<Enum>();
  const auto* entry = descriptor->FindValueByNumber(static_cast<int>(value));
  return entry == nullptr ? std::to_string(static_cast<int>(value)) : entry->name().substr(prefix);
}

template <typename Enum>
std::string LowerSuffix(Enum value, std::size_t prefix) {
  std::string name = Suffix(value, prefix);
  for (char& c : name) c = c == '_' ? '-' : static_cast<char>(std::tolower(c));
  return name;
}

Json OrNull(bool has, double value) { return has ? Json(value) : Json(nullptr); }

// Adds what differs between two configurations, as {"<prefix>NAME":{"old":...,"new":...}}.
void AddDifferences(const std::string& prefix, const Json& before, const Json& after,
                    Json& changed) {
  for (const auto& [name, value] : after.items()) {
    if (value == before[name]) continue;
    changed[prefix + name] = {{"old", before[name]}, {"new", value}};
  }
}

}  // namespace

std::string EnumName(v1::Estimator estimator) { return LowerSuffix(estimator, 10); }
std::string EnumName(v1::Cdf cdf) { return LowerSuffix(cdf, 4); }
std::string EnumName(v1::Fit fit) { return LowerSuffix(fit, 4); }
std::string EnumName(v1::IndexKind index) { return LowerSuffix(index, 11); }
std::string EnumName(v1::SignalState state) { return Suffix(state, 13); }
std::string EnumName(v1::Verdict verdict) { return Suffix(verdict, 8); }
std::string EnumName(v1::RunState state) { return Suffix(state, 10); }
std::string EnumName(v1::PolicyMode mode) { return LowerSuffix(mode, 12); }

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  const absl::Time at = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", at, absl::UTCTimeZone());
}

Json ToJson(const v1::Estimate& estimate) {
  const v1::EstimatorConfig& config = estimate.config();
  Json json;
  json["type"] = "estimate";
  json["step"] = estimate.step();
  json["probe"] = estimate.probe();
  json["estimator"] = EnumName(config.estimator());
  json["mean"] = OrNull(estimate.has_mean(), estimate.mean());
  json["std"] = OrNull(estimate.has_std(), estimate.std());
  json["standard_error"] = OrNull(estimate.has_standard_error(), estimate.standard_error());
  json["harmonic_mean"] = OrNull(estimate.has_harmonic_mean(), estimate.harmonic_mean());
  json["harmonic_mean_standard_error"] =
      OrNull(estimate.has_harmonic_mean_standard_error(), estimate.harmonic_mean_standard_error());
  json["n_points"] = estimate.points();
  json["n_queries"] = estimate.queries();
  json["n_invalid"] = estimate.invalid();
  json["n_duplicates"] = estimate.duplicate_rows();
  json["n_near_duplicates"] = estimate.near_duplicates();
  json["duplicate_tolerance"] = config.duplicate_tolerance();
  json["neighbors"] = config.neighbors();
  json["cdf"] = EnumName(config.cdf());
  json["index"] = EnumName(config.index());
  json["recall"] = estimate.recall();
  json["recall_low"] = estimate.recall_low();
  json["bias_bound"] = estimate.bias_bound();
  json["engine_reason"] = estimate.engine_reason();
  json["fit"] = EnumName(config.fit());
  json["n_rows"] = estimate.rows();
  json["n_nonfinite"] = estimate.nonfinite_rows();
  json["complete"] = estimate.complete();
  json["incomplete_reason"] = estimate.incomplete_reason();
  json["subsampled_reason"] = estimate.subsampled_reason();
  json["window_fill"] = estimate.window_fill();
  json["rolling_mean"] = OrNull(estimate.has_rolling_mean(), estimate.rolling_mean());
  json["paired_change"] = OrNull(estimate.has_paired_change(), estimate.paired_change());
  json["paired_change_standard_error"] =
      OrNull(estimate.has_paired_change_standard_error(), estimate.paired_change_standard_error());
  json["variance"] = estimate.variance();
  json["quantiles"] = Json::object();
  for (const v1::Quantile& q : estimate.quantiles()) {
    json["quantiles"][Json(q.quantile()).dump()] = q.value();
  }
  json["seconds"] = estimate.seconds();
  json["time"] = TimeText(estimate.create_time());
  return json;
}

Json ToJson(const v1::Signal& signal) {
  Json json;
  json["type"] = "signal";
  json["step"] = signal.step();
  json["probe"] = signal.probe();
  json["signal"] = signal.signal();
  json["state"] = EnumName(signal.state());
  json["reason"] = signal.reason();
  json["evidence"] =
      std::map<std::string, double>(signal.evidence().begin(), signal.evidence().end());
  json["time"] = TimeText(signal.create_time());
  return json;
}

Json ToJson(const v1::Decision& decision) {
  Json json;
  json["type"] = "decision";
  json["step"] = decision.step();
  json["decision"] = EnumName(decision.verdict());
  json["reason"] = decision.reason();
  json["best_step"] = decision.has_best_step() ? Json(decision.best_step()) : Json();
  json["mode"] = EnumName(decision.mode());
  json["signals"] = std::vector<std::string>(decision.signals().begin(), decision.signals().end());
  json["time"] = TimeText(decision.create_time());
  return json;
}

Json ToJson(const v1::SignalConfig& config) {
  return {{"warmup", config.warmup()},
          {"patience", config.patience()},
          {"cooldown", config.cooldown()},
          {"min_delta", config.min_delta()},
          {"z_score", config.z_score()},
          {"heartbeat_seconds", config.heartbeat_seconds()},
          {"collapse_lid", config.collapse_lid()},
          {"collapse_ratio", config.collapse_ratio()}};
}

Json ToJson(const v1::PolicyConfig& config) {
  return {{"mode", EnumName(config.mode())},
          {"stop_on", std::vector<std::string>(config.stop_on().begin(), config.stop_on().end())},
          {"min_probes", config.min_probes()},
          {"warmup_step", config.warmup_step()}};
}

Json ToJson(const v1::SettingsChange& change) {
  Json json;
  json["type"] = "settings";
  json["step"] = change.has_step() ? Json(change.step()) : Json();
  json["author"] = change.author();
  json["changed"] = Json::object();
  AddDifferences("signals.", ToJson(change.old_signals()), ToJson(change.new_signals()),
                 json["changed"]);
  AddDifferences("policy.", ToJson(change.old_policy()), ToJson(change.new_policy()),
                 json["changed"]);
  json["time"] = TimeText(change.create_time());
  return json;
}

Json ScalarJson(std::int64_t step, const std::string& name, double value) {
  return {{"type", "scalar"}, {"step", step}, {"name", name}, {"value", value}};
}

Json RewindJson(std::int64_t step, const std::string& series) {
  return {{"type", "rewind"}, {"step", step}, {"series", series}};
}

Json StateJson(v1::RunState state) { return {{"type", "state"}, {"state", EnumName(state)}}; }

Json ToJson(const v1::Run& run) {
  Json json;
  json["run"] = run.run_id();
  json["project"] = run.project();
  json["name"] = run.display_name();
  json["user"] = run.user();
  json["labels"] = std::map<std::string, std::string>(run.labels().begin(), run.labels().end());
  json["hyperparameters"] =
      Json::parse(run.hyperparameters_json().empty() ? "{}" : run.hyperparameters_json(), nullptr,
                  /*allow_exceptions=*/false);
  json["state"] = EnumName(run.state());
  json["created"] = TimeText(run.create_time());
  json["ended"] = TimeText(run.end_time());
  json["last_sample"] = TimeText(run.last_sample_time());
  json["last_step"] = run.has_last_step() ? Json(run.last_step()) : Json();
  json["damage"] = run.damage();
  json["config"] = {{"signals", ToJson(run.config().signals())},
                    {"policy", ToJson(run.config().policy())}};
  json["decision"] = ToJson(run.decision());
  json["estimates"] = Json::array();
  for (const v1::Estimate& estimate : run.latest_estimates()) {
    json["estimates"].push_back(ToJson(estimate));
  }
  json["scale_profiles"] = Json::array();
  for (const v1::Estimate& estimate : run.latest_profiles()) {
    json["scale_profiles"].push_back(ScaleJson(estimate));
  }
  json["attention"] = Json::array();
  for (const v1::AttentionEstimate& estimate : run.latest_attention()) {
    json["attention"].push_back(ToJson(FromProto(estimate)));
  }
  json["signals"] = Json::array();
  for (const v1::Signal& signal : run.signals()) json["signals"].push_back(ToJson(signal));
  return json;
}

}  // namespace dimwatch::cli
