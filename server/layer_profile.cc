#include "server/layer_profile.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/convert.h"
#include "server/errors.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

std::vector<ProbeIdentity> ProbesOf(const RunRecord& run, Split split) {
  std::vector<ProbeIdentity> probes;
  for (const ProbeSettings& probe : run.probes) {
    if (probe.identity.split == split && !probe.attention) probes.push_back(probe.identity);
  }
  std::ranges::sort(probes, [](const ProbeIdentity& a, const ProbeIdentity& b) {
    if (a.layer != b.layer) return NaturalLess(a.layer, b.layer);
    return NaturalLess(a.name, b.name);
  });
  return probes;
}

// The one asked for, or the first that the run watches.
absl::StatusOr<Split> ChooseSplit(const RunRecord& run, v1::Split asked) {
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kOther}) {
    const bool wanted =
        asked == v1::SPLIT_UNSPECIFIED ? !ProbesOf(run, split).empty() : asked == ToProto(split);
    if (wanted) return split;
  }
  if (asked == v1::SPLIT_UNSPECIFIED) return Split::kTrain;
  return InvalidField(
      "split", absl::StrCat("unknown value ", static_cast<int>(asked), "; 0 to 3 are known here"));
}

std::optional<Step> NewestStep(const RunView& view, const std::vector<ProbeIdentity>& probes) {
  std::optional<Step> newest;
  for (const EstimateRecord& record : view.latest_estimates) {
    const bool one_of_them = std::ranges::any_of(
        probes, [&](const ProbeIdentity& probe) { return probe.name == record.probe; });
    if (one_of_them) newest = std::max(newest.value_or(record.step), record.step);
  }
  return newest;
}

}  // namespace

absl::Status FillLayerProfile(const RunView& view, Store& store,
                              const v1::GetLayerProfileRequest& request,
                              v1::GetLayerProfileResponse& response) {
  const absl::StatusOr<Split> split = ChooseSplit(view.run, request.split());
  if (!split.ok()) return split.status();
  const std::vector<ProbeIdentity> probes = ProbesOf(view.run, *split);
  response.set_split(ToProto(*split));
  const std::optional<Step> step =
      request.has_step() ? std::optional(Step{request.step()}) : NewestStep(view, probes);
  std::map<std::string, EstimateRecord> estimates;
  if (step) {
    response.set_step(step->value);
    SeriesQuery query;
    query.min_step = query.max_step = step;
    query.limit = static_cast<int>(view.run.probes.size());
    absl::StatusOr<std::vector<EstimateRecord>> records =
        store.ReadEstimates(view.run.run_id, query);
    if (!records.ok()) return records.status();
    for (EstimateRecord& record : *records) estimates[record.probe] = std::move(record);
  }
  for (const ProbeIdentity& probe : probes) {
    const auto estimate = estimates.find(probe.name);
    if (estimate == estimates.end()) {
      response.add_missing_probes(probe.name);
      continue;
    }
    v1::LayerEstimate* layer = response.add_layers();
    layer->set_layer(probe.layer);
    *layer->mutable_estimate() = ToProto(estimate->second);
  }
  return absl::OkStatus();
}

}  // namespace dimwatch::server
