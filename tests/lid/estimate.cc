#include "tests/lid/estimate.h"

#include <gtest/gtest.h>

#include "tests/testing/manual_clock.h"

namespace dimwatch::testing {

CloudEstimate Estimate(const PointCloud& cloud, const EstimatorSettings& settings,
                       std::size_t threads, PointwiseLid* pointwise) {
  ThreadPool pool(threads);
  const absl::StatusOr<CloudEstimate> estimate =
      EstimateCloud(cloud.view(), settings, pool, ManualClock(), pointwise);
  EXPECT_TRUE(estimate.ok()) << estimate.status();
  return estimate.value_or(CloudEstimate());
}

EstimatorSettings Settings(Estimator estimator, int neighbors, Cdf cdf) {
  EstimatorSettings settings;
  settings.estimator = estimator;
  settings.neighbors = neighbors;
  settings.cdf = cdf;
  return settings;
}

}  // namespace dimwatch::testing
