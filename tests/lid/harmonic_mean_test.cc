// Whether the error of the harmonic mean is that of a new draw.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

TEST(HarmonicMeanTest, IsOfTheMleOnly) {
  const PointCloud cloud = testing::Gaussian(300, 5, 1);
  const CloudEstimate mle = testing::Estimate(cloud, testing::Settings(Estimator::kMle, 20));
  EXPECT_GT(*mle.harmonic_mean, 3);
  EXPECT_LT(*mle.harmonic_mean, *mle.mean);
  for (const Estimator other : {Estimator::kTwoNn, Estimator::kMom, Estimator::kGride}) {
    EXPECT_FALSE(testing::Estimate(cloud, testing::Settings(other, 20)).harmonic_mean);
  }
}

TEST(HarmonicMeanTest, ItsErrorIsTheSpreadOfDraws) {
  for (const std::int64_t queries : {0, 100}) {
    double sum = 0, squares = 0, errors = 0;
    constexpr int kDraws = 40;
    for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
      EstimatorSettings settings = testing::Settings(Estimator::kMle, 32);
      settings.queries = queries;
      const CloudEstimate estimate = testing::Estimate(testing::Gaussian(900, 8, seed), settings);
      sum += *estimate.harmonic_mean;
      squares += std::pow(*estimate.harmonic_mean, 2);
      errors += *estimate.harmonic_mean_standard_error / kDraws;
    }
    const double spread = std::sqrt((squares - sum * sum / kDraws) / (kDraws - 1));
    EXPECT_GT(errors / spread, 0.75) << queries;
    EXPECT_LT(errors / spread, 1.5) << queries;
  }
}

}  // namespace
}  // namespace dimwatch
