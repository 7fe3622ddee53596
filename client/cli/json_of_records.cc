#include "client/cli/json.h"

namespace dimwatch::cli {
namespace {

Json OrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

// What every form of an estimate says about its cloud.
void AppendCloud(const CloudEstimate& estimate, Json& json) {
  json["estimator"] = std::string(Name(estimate.settings.estimator));
  json["mean"] = OrNull(estimate.mean);
  json["std"] = OrNull(estimate.std);
  json["standard_error"] = OrNull(estimate.standard_error);
  json["n_points"] = estimate.points;
  json["n_queries"] = estimate.queries;
  json["n_invalid"] = estimate.invalid;
  json["n_duplicates"] = estimate.duplicate_rows;
  json["neighbors"] = estimate.settings.neighbors;
  json["cdf"] = std::string(Name(estimate.settings.cdf));
  json["index"] = std::string(Name(estimate.settings.index));
  json["recall"] = estimate.recall;
  json["recall_low"] = estimate.recall_low;
  json["bias_bound"] = estimate.bias_bound;
  json["engine_reason"] = estimate.engine_reason;
}

// What came later.
void AppendMore(const CloudEstimate& estimate, Json& json) {
  json["harmonic_mean"] = OrNull(estimate.harmonic_mean);
  json["harmonic_mean_standard_error"] = OrNull(estimate.harmonic_mean_standard_error);
  json["n_near_duplicates"] = estimate.near_duplicates;
  json["duplicate_tolerance"] = estimate.settings.duplicate_tolerance;
}

}  // namespace

Json ToJson(const CloudEstimate& estimate) {
  Json json;
  AppendCloud(estimate, json);
  json["seconds"] = estimate.seconds;
  AppendMore(estimate, json);
  return json;
}

Json ToJson(const EstimateRecord& record) {
  Json json;
  json["type"] = "estimate";
  json["step"] = record.step.value;
  json["probe"] = record.probe;
  AppendCloud(record.estimate, json);
  AppendMore(record.estimate, json);
  json["fit"] = std::string(Name(record.estimate.settings.fit));
  json["n_rows"] = record.estimate.rows;
  json["n_nonfinite"] = record.estimate.nonfinite_rows;
  json["complete"] = record.complete;
  json["incomplete_reason"] = record.incomplete_reason;
  json["window_fill"] = record.window_fill;
  json["rolling_mean"] = OrNull(record.rolling_mean);
  json["paired_change"] = OrNull(record.paired_change);
  json["paired_change_standard_error"] = OrNull(record.paired_change_standard_error);
  json["variance"] = record.estimate.variance;
  json["quantiles"] = Json::object();
  for (const Quantile& q : record.estimate.quantiles) {
    json["quantiles"][Json(q.quantile).dump()] = q.value;
  }
  return json;
}

Json ToJson(const Signal& signal) {
  Json json;
  json["type"] = "signal";
  json["step"] = signal.step.value;
  json["probe"] = signal.probe;
  json["signal"] = std::string(Name(signal.kind));
  json["state"] = std::string(Name(signal.state));
  json["reason"] = signal.reason;
  json["evidence"] = signal.evidence;
  return json;
}

Json ToJson(const Decision& decision) {
  Json json;
  json["type"] = "decision";
  json["step"] = decision.step.value;
  json["decision"] = std::string(Name(decision.verdict));
  json["reason"] = decision.reason;
  json["best_step"] = decision.best_step.has_value() ? Json(decision.best_step->value) : Json();
  json["mode"] = std::string(Name(decision.mode));
  json["signals"] = Json::array();
  for (const SignalKind kind : decision.signals) json["signals"].push_back(std::string(Name(kind)));
  return json;
}

}  // namespace dimwatch::cli
