#include "src/knn/hnsw.h"

#include <algorithm>
#include <numeric>

namespace dimwatch {
namespace {

constexpr std::size_t kLeastPartPoints = 4096;

}  // namespace

CloudIndex::CloudIndex(const CloudRows& cloud, std::uint64_t seed, ThreadPool& pool)
    : cloud_(cloud), points_(cloud.points()) {
  std::iota(points_.begin(), points_.end(), 0u);
  const std::size_t parts =
      std::clamp<std::size_t>(points_.size() / kLeastPartPoints, 1, kMostParts);
  const std::size_t most = (points_.size() + parts - 1) / parts;
  graphs_.resize(parts);
  parts_.resize(parts);
  pool.ParallelFor(parts, [&](std::size_t p) {
    const std::size_t begin = p * most;
    parts_[p].points = std::span(points_).subspan(begin, std::min(most, points_.size() - begin));
    graphs_[p].emplace(most, cloud.dim(), seed);
    for (const std::uint32_t point : parts_[p].points) graphs_[p]->Add(cloud.row(point));
    parts_[p].graph = &*graphs_[p];
  });
}

NeighborLists CloudIndex::Search(std::span<const std::uint32_t> queries, std::size_t neighbors,
                                 std::size_t effort, ThreadPool& pool) const {
  return SearchParts(cloud_, parts_, queries, neighbors, effort, nullptr, pool);
}

NeighborLists HnswEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                 std::size_t neighbors, std::size_t /*ranked*/,
                                 ThreadPool& pool) const {
  return CloudIndex(cloud, seed_, pool).Search(queries, neighbors, effort_, pool);
}

}  // namespace dimwatch
