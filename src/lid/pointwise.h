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
};

// `lists` belong to the points `queries`. REQUIRES: settings.estimator is kTwoNn, kMle or kMom.
// The result does not depend on the number of threads.
PointwiseDimensions EstimatePointwise(const CloudRows& cloud, const NeighborLists& lists,
                                      std::span<const std::uint32_t> queries,
                                      const EstimatorSettings& settings, ThreadPool& pool);

}  // namespace dimwatch
