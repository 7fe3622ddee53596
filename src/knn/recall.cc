#include "src/knn/recall.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/base/random_subset.h"
#include "src/knn/exact.h"

namespace dimwatch {

double MeasureRecall(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                     const NeighborLists& lists, std::uint64_t seed, ThreadPool& pool) {
  std::vector<std::uint32_t> canaries(queries.size());  // indices of queries
  std::iota(canaries.begin(), canaries.end(), 0u);
  canaries = ChooseUniformly(std::move(canaries), kCanaryQueries, seed);
  std::vector<std::uint32_t> points;
  points.reserve(canaries.size());
  for (const std::uint32_t canary : canaries) points.push_back(queries[canary]);
  const std::size_t neighbors = lists.neighbors();
  const NeighborLists truth = ExactEngine().Search(cloud, points, neighbors, neighbors, pool);
  std::size_t found = 0;
  for (std::size_t c = 0; c < canaries.size(); ++c) {
    const float reach = truth.distances(c).back();
    found += static_cast<std::size_t>(std::ranges::count_if(
        lists.distances(canaries[c]), [&](float distance) { return distance <= reach; }));
  }
  return static_cast<double>(found) / static_cast<double>(canaries.size() * neighbors);
}

}  // namespace dimwatch
