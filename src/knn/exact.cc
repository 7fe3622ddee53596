#include "src/knn/exact.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "src/knn/distance.h"

namespace dimwatch {
namespace {

void SearchOne(const CloudRows& cloud, std::uint32_t query, std::span<std::uint32_t> ids,
               std::span<float> distances) {
  std::vector<std::pair<float, std::uint32_t>> all;
  all.reserve(cloud.points());
  for (std::uint32_t p = 0; p < cloud.points(); ++p) {
    if (p == query) continue;
    all.emplace_back(SquaredDistance(cloud.row(query), cloud.row(p), cloud.dim()), p);
  }
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(ids.size()), all.end());
  for (std::size_t j = 0; j < ids.size(); ++j) {
    ids[j] = all[j].second;
    distances[j] = std::sqrt(all[j].first);
  }
}

}  // namespace

NeighborLists ExactEngine::SearchAll(const CloudRows& cloud, std::size_t neighbors,
                                     ThreadPool& pool) const {
  std::vector<std::uint32_t> all(cloud.points());
  std::iota(all.begin(), all.end(), 0u);
  return Search(cloud, all, neighbors, pool);
}

NeighborLists ExactEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                  std::size_t neighbors, ThreadPool& pool) const {
  NeighborLists lists(queries.size(), neighbors);
  pool.ParallelFor(queries.size(), [&](std::size_t q) {
    SearchOne(cloud, queries[q], lists.ids(q), lists.distances(q));
  });
  return lists;
}

}  // namespace dimwatch
