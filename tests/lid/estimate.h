// Estimates as tests ask for them.
#pragma once

#include <cstddef>

#include "src/lid/cloud_estimate.h"

namespace dimwatch::testing {

// With settings that are valid; `threads` besides the caller's.
CloudEstimate Estimate(const PointCloud& cloud, const EstimatorSettings& settings,
                       std::size_t threads = 1, PointwiseLid* pointwise = nullptr);

EstimatorSettings Settings(Estimator estimator, int neighbors, Cdf cdf = Cdf::kPaper);

}  // namespace dimwatch::testing
