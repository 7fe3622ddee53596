#include "src/knn/recall.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/base/random_subset.h"
#include "src/knn/distance.h"
#include "src/knn/exact.h"

namespace dimwatch {
namespace {

constexpr double kZ = 1.96;          // 95 %, two-sided
constexpr double kLeastCluster = 4;  // neighbors that count as one trial, at least

}  // namespace

Recall RecallOf(std::span<const double> ratios, std::size_t neighbors) {
  const auto queries = static_cast<double>(ratios.size());
  const double mean = std::accumulate(ratios.begin(), ratios.end(), 0.0) / queries;
  double squares = 0;
  for (const double ratio : ratios) squares += (ratio - mean) * (ratio - mean);
  const double most = std::max(1.0, queries * static_cast<double>(neighbors) / kLeastCluster);
  // Independent trials with the variance that the mean of the queries has.
  const double trials =
      squares > 0 ? std::min(most, mean * (1 - mean) * queries * (queries - 1) / squares) : most;
  const double spread = kZ * kZ / trials;
  const double center = (mean + spread / 2) / (1 + spread);
  const double half =
      kZ / (1 + spread) * std::sqrt(mean * (1 - mean) / trials + spread / (4 * trials));
  return {.ratio = mean,
          .low = std::clamp(center - half, 0.0, mean),
          .high = std::clamp(center + half, mean, 1.0)};
}

std::vector<double> CanaryRatios(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                 const NeighborLists& lists, std::uint64_t seed, ThreadPool& pool) {
  const std::vector<std::uint64_t> keys(queries.begin(), queries.end());
  const std::vector<std::uint32_t> canaries =  // indices of queries
      ChooseUniformly(keys, kCanaryQueries, seed);
  std::vector<std::uint32_t> points;
  points.reserve(canaries.size());
  for (const std::uint32_t canary : canaries) points.push_back(queries[canary]);
  const NeighborLists truth =
      ExactEngine().Search(cloud, points, lists.neighbors(), lists.neighbors(), pool);
  std::vector<double> ratios;
  ratios.reserve(canaries.size());
  for (std::size_t c = 0; c < canaries.size(); ++c) {
    const float reach = truth.distances(c).back();
    const auto found = std::ranges::count_if(lists.ids(canaries[c]), [&](std::uint32_t id) {
      return std::sqrt(SquaredDistance(cloud.row(points[c]), cloud.row(id), cloud.dim())) <= reach;
    });
    ratios.push_back(static_cast<double>(found) / static_cast<double>(lists.neighbors()));
  }
  return ratios;
}

Recall MeasureRecall(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                     const NeighborLists& lists, std::uint64_t seed, ThreadPool& pool) {
  return RecallOf(CanaryRatios(cloud, queries, lists, seed, pool), lists.neighbors());
}

}  // namespace dimwatch
