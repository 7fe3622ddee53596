#include "src/monitor/paired_change.h"

#include <algorithm>
#include <cmath>

namespace dimwatch {

LidByInput ByInput(const PointwiseLid& pointwise, const std::vector<std::int64_t>& sample_ids) {
  LidByInput by_input;
  by_input.by_sample_id = !sample_ids.empty();
  auto& lids = by_input.lids;
  for (std::size_t i = 0; i < pointwise.row.size(); ++i) {
    if (!pointwise.lid[i]) continue;
    const std::size_t row = pointwise.row[i];
    const auto input = by_input.by_sample_id ? sample_ids[row] : static_cast<std::int64_t>(row);
    lids.emplace_back(input, *pointwise.lid[i]);
  }
  std::stable_sort(lids.begin(), lids.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto repeated = std::unique(
      lids.begin(), lids.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  lids.erase(repeated, lids.end());
  return by_input;
}

double OverlapFactor(const CloudEstimate& estimate) {
  const std::int64_t valid = estimate.queries - estimate.invalid;
  if (!estimate.standard_error || !estimate.std || *estimate.std <= 0 || valid < 1) return 1;
  const double independent = *estimate.std / std::sqrt(static_cast<double>(valid));
  return std::max(1.0, *estimate.standard_error / independent);
}

std::optional<PairedChange> Compare(const LidByInput& previous, const LidByInput& current) {
  if (previous.by_sample_id != current.by_sample_id) return std::nullopt;
  std::vector<double> changes;
  auto before = previous.lids.begin();
  for (const auto& [input, lid] : current.lids) {
    while (before != previous.lids.end() && before->first < input) ++before;
    if (before == previous.lids.end()) break;
    if (before->first == input) changes.push_back(lid - before->second);
  }
  if (changes.size() < 2) return std::nullopt;

  const auto n = static_cast<double>(changes.size());
  double sum = 0;
  for (const double change : changes) sum += change;
  const double mean = sum / n;
  double squares = 0;
  for (const double change : changes) squares += (change - mean) * (change - mean);
  const double overlap = std::max(previous.overlap, current.overlap);
  return PairedChange{mean, overlap * std::sqrt(squares / (n - 1) / n)};
}

}  // namespace dimwatch
