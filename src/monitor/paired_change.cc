#include "src/monitor/paired_change.h"

#include <algorithm>
#include <cmath>

#include "src/lid/standard_error.h"

namespace dimwatch {
namespace {

void SortByInput(ByInput& values) {
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto repeated = std::unique(values.begin(), values.end(), [](const auto& a, const auto& b) {
    return a.first == b.first;
  });
  values.erase(repeated, values.end());
}

// current - previous, of the inputs in both.
std::vector<double> Differences(const ByInput& previous, const ByInput& current) {
  std::vector<double> differences;
  auto before = previous.begin();
  for (const auto& [input, value] : current) {
    while (before != previous.end() && before->first < input) ++before;
    if (before == previous.end()) break;
    if (before->first == input) differences.push_back(value - before->second);
  }
  return differences;
}

}  // namespace

SnapshotLids KeyedByInput(const PointwiseLid& pointwise,
                          const std::vector<std::int64_t>& sample_ids) {
  SnapshotLids snapshot;
  snapshot.by_sample_id = !sample_ids.empty();
  const auto input_of = [&](std::size_t row) {
    return sample_ids.empty() ? static_cast<std::int64_t>(row) : sample_ids[row];
  };
  for (std::size_t i = 0; i < pointwise.row.size(); ++i) {
    if (pointwise.lid[i]) snapshot.lids.emplace_back(input_of(pointwise.row[i]), *pointwise.lid[i]);
  }
  for (std::size_t i = 0; i < pointwise.shift.size(); ++i) {
    snapshot.shifts.emplace_back(input_of(pointwise.shift_row[i]), pointwise.shift[i]);
  }
  SortByInput(snapshot.lids);
  SortByInput(snapshot.shifts);
  return snapshot;
}

std::optional<PairedChange> Compare(const SnapshotLids& previous, const SnapshotLids& current) {
  if (previous.by_sample_id != current.by_sample_id) return std::nullopt;
  const std::vector<double> changes = Differences(previous.lids, current.lids);
  if (changes.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(changes.size());
  double sum = 0;
  for (const double change : changes) sum += change;
  const double mean = sum / n;
  double squares = 0;
  for (const double change : changes) squares += (change - mean) * (change - mean);
  const double spread = std::sqrt(squares / (n - 1));
  const std::vector<double> shifts = Differences(previous.shifts, current.shifts);
  return PairedChange{mean, MeanStandardError(shifts, spread, changes.size())};
}

}  // namespace dimwatch
