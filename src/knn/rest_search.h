// Exact search among some points of a cloud, for queries that come in groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/ranking.h"

namespace dimwatch {

// By blocks of the matrix of inner products, as ExactEngine; but what it finds is measured by
// RoughSquaredDistance, like what graphs find. Thread-safe.
class RestSearch {
 public:
  // `cloud` must outlive it.
  RestSearch(const CloudRows& cloud, std::vector<std::uint32_t> rest, ThreadPool& pool);

  // Adds to keys[i] the `neighbors` of the rest, or a few more, that are nearest to points[i],
  // which is not its own neighbor. One product of points x rest.
  void Find(std::span<const std::uint32_t> points, std::size_t neighbors,
            std::span<RankingKeys> keys) const;

 private:
  const CloudRows& cloud_;
  std::vector<std::uint32_t> rest_;
  std::vector<float> center_;
};

}  // namespace dimwatch
