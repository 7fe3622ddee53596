#include "client/cli/attention_text.h"

#include <optional>

#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

Json OrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

std::optional<double> Maybe(bool has, double value) {
  return has ? std::optional(value) : std::nullopt;
}

std::string Number(double value) { return Json(value).dump(); }

// "+1.25 ± 0.31 since step 0 (64 prompts)".
std::string ChangeText(const AttentionRecord& record) {
  if (!record.baseline_change) return record.baseline_step == record.step ? "baseline" : "-";
  const AttentionChange& change = *record.baseline_change;
  return (change.mean < 0 ? "" : "+") + MeanText(change.mean, change.standard_error) +
         " since step " + std::to_string(record.baseline_step->value) + " (" +
         std::to_string(change.prompts) + " prompts)";
}

}  // namespace

AttentionRecord FromProto(const v1::AttentionEstimate& estimate) {
  AttentionRecord record;
  record.probe = estimate.probe();
  record.step = Step{estimate.step()};
  record.complete = estimate.complete();
  record.incomplete_reason = estimate.incomplete_reason();
  record.estimate.mean = Maybe(estimate.has_mean(), estimate.mean());
  record.estimate.std = Maybe(estimate.has_std(), estimate.std());
  record.estimate.standard_error = Maybe(estimate.has_standard_error(), estimate.standard_error());
  for (const v1::Quantile& quantile : estimate.quantiles()) {
    record.estimate.quantiles.push_back({quantile.quantile(), quantile.value()});
  }
  record.estimate.prompts = estimate.prompts();
  record.estimate.invalid = estimate.invalid();
  record.estimate.settings = {.epsilon = estimate.config().epsilon(),
                              .relative = estimate.config().relative(),
                              .heads = estimate.config().heads()};
  if (estimate.has_baseline_step()) record.baseline_step = Step{estimate.baseline_step()};
  if (estimate.has_baseline_change()) {
    record.baseline_change = {.mean = estimate.baseline_change(),
                              .standard_error = estimate.baseline_change_standard_error(),
                              .prompts = estimate.baseline_prompts()};
  }
  return record;
}

Json ToJson(const AttentionEstimate& estimate) {
  Json json;
  json["mean"] = OrNull(estimate.mean);
  json["std"] = OrNull(estimate.std);
  json["standard_error"] = OrNull(estimate.standard_error);
  json["n_prompts"] = estimate.prompts;
  json["n_invalid"] = estimate.invalid;
  json["epsilon"] = estimate.settings.epsilon;
  json["relative"] = estimate.settings.relative;
  json["heads"] = estimate.settings.heads;
  json["quantiles"] = Json::object();
  for (const Quantile& q : estimate.quantiles) {
    json["quantiles"][Json(q.quantile).dump()] = q.value;
  }
  return json;
}

Json ToJson(const AttentionRecord& record) {
  Json json = {{"type", "attention"}, {"step", record.step.value}, {"probe", record.probe}};
  json.update(ToJson(record.estimate));
  json["complete"] = record.complete;
  json["incomplete_reason"] = record.incomplete_reason;
  const auto& change = record.baseline_change;
  json["baseline_step"] = record.baseline_step ? Json(record.baseline_step->value) : Json(nullptr);
  json["baseline_change"] = change ? Json(change->mean) : Json(nullptr);
  json["baseline_change_standard_error"] = change ? Json(change->standard_error) : Json(nullptr);
  json["n_baseline_prompts"] = change ? Json(change->prompts) : Json(nullptr);
  return json;
}

std::vector<std::string> AttentionHeader() {
  return {"PROBE",  "STEP",    "ATTENTION (mean ± s.e.)", "PROMPTS", "SETTINGS", "INVALID",
          "CHANGE", "COMPLETE"};
}

std::vector<std::string> AttentionCells(const AttentionRecord& record) {
  const AttentionEstimate& estimate = record.estimate;
  return {record.probe,
          std::to_string(record.step.value),
          MeanText(estimate.mean, estimate.standard_error),
          std::to_string(estimate.prompts),
          CountingText(estimate.settings),
          std::to_string(estimate.invalid),
          ChangeText(record),
          CompleteText(record.complete, record.incomplete_reason)};
}

std::string CountingText(const AttentionSettings& settings) {
  return "weights above " + Number(settings.epsilon) +
         (settings.relative ? " of the largest, " : ", ") + std::to_string(settings.heads) +
         (settings.heads == 1 ? " head" : " heads");
}

std::string AttentionLine(const AttentionRecord& record) {
  const AttentionEstimate& estimate = record.estimate;
  return "step " + std::to_string(record.step.value) + "  " + record.probe + "  attention " +
         MeanText(estimate.mean, estimate.standard_error) + "  " +
         std::to_string(estimate.prompts) + " prompts, " + CountingText(estimate.settings) +
         ", change " + ChangeText(record) +
         (record.complete ? "" : ", NOT COMPLETE: " + record.incomplete_reason);
}

}  // namespace dimwatch::cli
