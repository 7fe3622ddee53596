// The local dimension at each query point, and what each neighbor did to it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/neighbor_lists.h"
#include "src/lid/settings.h"

namespace dimwatch {

struct PointwiseDimensions {
  std::vector<std::optional<double>> lid;  // one per query; none: invalid
  // queries x neighbors, row-major: the derivative of lid[q] by the weight of its j-th neighbor,
  // where all weights are 1; 0 where invalid.
  std::vector<float> influence;
  // Of kTwoNn, by query: 1 where it is the nearest of its own nearest point. A ratio belongs to a
  // point and its two nearest, so those of such points are not independent. Otherwise empty.
  std::vector<std::uint8_t> mutual;

  // Adds those of other queries, of the same estimator and neighbors.
  void Append(PointwiseDimensions other);
};

// How many entries of a list an estimator asks to be ranked: all, but for kTwoNn, which uses
// distances inside neighborhoods, and finds nearly all of them in the first few entries.
std::size_t RankedEntries(Estimator estimator, std::size_t neighbors);

// `lists` belong to the points `queries` and have RankedEntries or more. REQUIRES:
// settings.estimator is kTwoNn, kMle or kMom. The result depends neither on the number of threads
// nor on the order of entries that are not ranked.
PointwiseDimensions EstimatePointwise(const CloudRows& cloud, const NeighborLists& lists,
                                      std::span<const std::uint32_t> queries,
                                      const EstimatorSettings& settings, ThreadPool& pool);

}  // namespace dimwatch
