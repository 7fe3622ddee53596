#include "src/monitor/paired_change.h"

#include <algorithm>
#include <cmath>

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

// Calls visit(previous, current) for every input of either, with null where it is not in one.
template <typename Visit>
void VisitInputs(const ByInput& previous, const ByInput& current, const Visit& visit) {
  auto before = previous.begin();
  auto now = current.begin();
  while (before != previous.end() || now != current.end()) {
    const bool take_before =
        now == current.end() || (before != previous.end() && before->first <= now->first);
    const bool take_now =
        before == previous.end() || (now != current.end() && now->first <= before->first);
    visit(take_before ? &before->second : nullptr, take_now ? &now->second : nullptr);
    before += take_before ? 1 : 0;
    now += take_now ? 1 : 0;
  }
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
  double sum = 0, count = 0, squares = 0;
  VisitInputs(previous.lids, current.lids, [&](const double* before, const double* now) {
    if (before == nullptr || now == nullptr) return;
    sum += *now - *before;
    count += 1;
  });
  if (count < 2) return std::nullopt;
  VisitInputs(previous.shifts, current.shifts, [&](const double* before, const double* now) {
    const double change = (now == nullptr ? 0 : *now) - (before == nullptr ? 0 : *before);
    squares += change * change;
  });
  return PairedChange{sum / count, std::sqrt(squares)};
}

}  // namespace dimwatch
