#include "src/lid/near_duplicates.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/knn/engine_choice.h"
#include "src/knn/exact.h"
#include "src/knn/hnsw.h"

namespace dimwatch {
namespace {

constexpr std::size_t kLookedAt = 16;  // nearest neighbors in one round

// 0 without queries.
double MedianNearest(const NeighborLists& lists) {
  if (lists.queries() == 0) return 0;
  std::vector<float> nearest(lists.queries());
  for (std::size_t q = 0; q < nearest.size(); ++q) nearest[q] = lists.distances(q)[0];
  const auto middle = nearest.begin() + static_cast<std::ptrdiff_t>(nearest.size() / 2);
  std::nth_element(nearest.begin(), middle, nearest.end());
  return static_cast<double>(*middle);
}

NeighborLists SearchAll(const CloudRows& cloud, const EstimatorSettings& settings,
                        ThreadPool& pool) {
  std::vector<std::uint32_t> all(cloud.points());
  std::iota(all.begin(), all.end(), 0u);
  const std::size_t neighbors = std::min(kLookedAt, cloud.points() - 1);
  const std::size_t points = cloud.points(), dim = cloud.dim();
  const bool exact =
      settings.index == IndexKind::kExact ||
      (settings.index == IndexKind::kAuto &&
       ExactSeconds({}, points, points, dim) <= HnswSeconds({}, points, points, dim, neighbors));
  if (exact) return ExactEngine().Search(cloud, all, neighbors, neighbors, pool);
  return HnswEngine(static_cast<std::uint64_t>(settings.seed))
      .Search(cloud, all, neighbors, neighbors, pool);
}

// The points that are within `limit` of no earlier one that stays.
std::vector<std::uint32_t> Kept(const NeighborLists& lists, double limit) {
  std::vector<bool> stays(lists.queries(), true);
  std::vector<std::uint32_t> kept;
  for (std::uint32_t point = 0; point < lists.queries(); ++point) {
    const std::span<const float> distances = lists.distances(point);
    for (std::size_t j = 0; j < distances.size(); ++j) {
      if (static_cast<double>(distances[j]) > limit) break;
      const std::uint32_t other = lists.ids(point)[j];
      if (other < point && stays[other]) stays[point] = false;
    }
    if (stays[point]) kept.push_back(point);
  }
  return kept;
}

}  // namespace

std::int64_t CountNearDuplicates(const NeighborLists& lists) {
  const double limit = kNearDuplicateShare * MedianNearest(lists);
  std::int64_t count = 0;
  for (std::size_t q = 0; q < lists.queries(); ++q) {
    if (static_cast<double>(lists.distances(q)[0]) < limit) ++count;
  }
  return count;
}

PreparedCloud DropNearDuplicates(PreparedCloud cloud, PointCloudView rows,
                                 const EstimatorSettings& settings, ThreadPool& pool) {
  double limit = -1;
  // As long as a pair is within the limit, the two that are nearest to each other are in each
  // other's lists: every round drops something, or there is nothing left to drop.
  while (cloud.rows.points() > 1) {
    const NeighborLists lists = SearchAll(cloud.rows, settings, pool);
    if (limit < 0) limit = settings.duplicate_tolerance * MedianNearest(lists);
    std::vector<std::uint32_t> kept = Kept(lists, limit);
    if (kept.size() == lists.queries()) break;
    cloud.duplicate_rows += static_cast<std::int64_t>(lists.queries() - kept.size());
    std::vector<std::uint64_t> keys;
    for (std::uint32_t& point : kept) {
      keys.push_back(cloud.keys[point]);
      point = cloud.rows.source(point);
    }
    cloud.keys = std::move(keys);
    cloud.rows = CloudRows(rows, std::move(kept));
  }
  return cloud;
}

}  // namespace dimwatch
