#include "src/lid/near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using testing::Estimate;
using testing::Settings;

// `cloud` with a copy of each of its first `copied` rows, each component moved by up to `noise`.
PointCloud WithCopies(const PointCloud& cloud, std::size_t copied, float noise) {
  std::mt19937_64 random(99);
  std::uniform_real_distribution<float> uniform(-noise, noise);
  std::vector<float> data(cloud.view().data(), cloud.view().data() + cloud.points() * cloud.dim());
  for (std::size_t i = 0; i < copied * cloud.dim(); ++i) {
    data.push_back(data[i] + uniform(random));
  }
  return {std::move(data), cloud.dim()};
}

PointCloud Shuffled(const PointCloud& cloud, std::uint64_t seed) {
  std::vector<std::size_t> order(cloud.points());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  std::vector<float> data;
  for (const std::size_t row : order) {
    data.insert(data.end(), cloud.view().row(row).begin(), cloud.view().row(row).end());
  }
  return {std::move(data), cloud.dim()};
}

TEST(NearDuplicatesTest, AreCountedOnEveryEstimateAndLowerTheMean) {
  const PointCloud cloud = testing::Gaussian(1000, 6, 1);
  const CloudEstimate clean = Estimate(cloud, Settings(Estimator::kTwoNn, 64));
  EXPECT_EQ(clean.near_duplicates, 0);
  const CloudEstimate noisy =
      Estimate(WithCopies(cloud, 20, 1e-6f), Settings(Estimator::kTwoNn, 64));
  EXPECT_EQ(noisy.duplicate_rows, 0);
  EXPECT_EQ(noisy.near_duplicates, 40);  // both of each pair
  EXPECT_LT(*noisy.mean, 0.95 * *clean.mean);
}

TEST(NearDuplicatesTest, AreDroppedWithinTheTolerance) {
  const PointCloud cloud = testing::Gaussian(1000, 6, 1);
  EstimatorSettings settings = Settings(Estimator::kTwoNn, 64);
  const double clean = *Estimate(cloud, settings).mean;
  settings.duplicate_tolerance = 0.01;
  const CloudEstimate mended = Estimate(WithCopies(cloud, 200, 1e-6f), settings);
  EXPECT_EQ(mended.points, 1000);
  EXPECT_EQ(mended.duplicate_rows, 200);
  EXPECT_EQ(mended.near_duplicates, 0);
  EXPECT_NEAR(*mended.mean, clean, 1e-3 * clean);
}

TEST(NearDuplicatesTest, ATightClusterLargerThanAListBecomesOnePoint) {
  PointCloud cloud = testing::Gaussian(600, 4, 2);
  const PointCloud cluster = testing::Gaussian(150, 4, 3);
  std::vector<float> data(cloud.view().data(), cloud.view().data() + 600 * 4);
  for (const float value : std::span(cluster.view().data(), 150 * 4)) {
    data.push_back(5 + 1e-5f * value);
  }
  EstimatorSettings settings = Settings(Estimator::kTwoNn, 32);
  settings.duplicate_tolerance = 0.01;
  EXPECT_EQ(Estimate(PointCloud(std::move(data), 4), settings).points, 601);
}

TEST(NearDuplicatesTest, WhichOneStaysDependsOnTheRowsAlone) {
  const PointCloud cloud = WithCopies(testing::Gaussian(500, 5, 4), 100, 1e-5f);
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kMle, Estimator::kGride}) {
    EstimatorSettings settings = Settings(estimator, 32);
    settings.duplicate_tolerance = 0.01;
    const CloudEstimate given = Estimate(cloud, settings);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      EXPECT_EQ(Estimate(Shuffled(cloud, seed), settings, 2).mean, given.mean);
    }
  }
}

TEST(NearDuplicatesTest, WithoutAnyTheToleranceChangesNothing) {
  const PointCloud cloud = testing::Gaussian(500, 5, 5);
  EstimatorSettings settings = Settings(Estimator::kMom, 32);
  const CloudEstimate exact = Estimate(cloud, settings);
  settings.duplicate_tolerance = 1e-6;
  EXPECT_EQ(Estimate(cloud, settings).mean, exact.mean);
}

}  // namespace
}  // namespace dimwatch
