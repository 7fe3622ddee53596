// Clouds that are small, degenerate or broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/lid/estimate.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using testing::Estimate;
using testing::Settings;

constexpr Estimator kAll[] = {Estimator::kTwoNn, Estimator::kTwoNnGlobal, Estimator::kMle,
                              Estimator::kMom, Estimator::kGride};

TEST(BadCloudsTest, NothingAndOnePointAreNotErrors) {
  for (const Estimator estimator : kAll) {
    for (const std::size_t points : {0, 1, 2}) {
      const CloudEstimate estimate =
          Estimate(testing::Gaussian(points, 3, 1), Settings(estimator, 4));
      EXPECT_EQ(estimate.rows, static_cast<std::int64_t>(points));
      EXPECT_EQ(estimate.points, static_cast<std::int64_t>(points));
      EXPECT_FALSE(estimate.enough_points);
      EXPECT_FALSE(estimate.mean);
      EXPECT_FALSE(estimate.standard_error);
      EXPECT_TRUE(estimate.quantiles.empty());
      EXPECT_EQ(estimate.settings.index, IndexKind::kExact);
    }
  }
}

TEST(BadCloudsTest, OnePointMoreThanNeighborsIsEnough) {
  EXPECT_FALSE(Estimate(testing::Gaussian(8, 3, 1), Settings(Estimator::kTwoNn, 8)).enough_points);
  const CloudEstimate estimate =
      Estimate(testing::Gaussian(9, 3, 1), Settings(Estimator::kTwoNn, 8));
  EXPECT_TRUE(estimate.enough_points);
  EXPECT_TRUE(estimate.mean);
}

TEST(BadCloudsTest, RowsThatAreNotFiniteAreDroppedAndCounted) {
  PointCloud cloud = testing::Gaussian(300, 5, 2);
  const double mean = *Estimate(cloud, Settings(Estimator::kTwoNn, 16)).mean;
  std::vector<float> bad(5 * 2, 1.0f);
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  bad[9] = -std::numeric_limits<float>::infinity();
  cloud.data().insert(cloud.data().begin(), bad.begin(), bad.end());
  PointwiseLid pointwise;
  const CloudEstimate estimate = Estimate(cloud, Settings(Estimator::kTwoNn, 16), 1, &pointwise);
  EXPECT_EQ(estimate.rows, 302);
  EXPECT_EQ(estimate.nonfinite_rows, 2);
  EXPECT_EQ(estimate.points, 300);
  EXPECT_EQ(*estimate.mean, mean);
  EXPECT_EQ(pointwise.row.front(), 2u);
}

TEST(BadCloudsTest, NothingButNotANumberIsAnEmptyCloud) {
  const PointCloud cloud(std::vector<float>(40, std::numeric_limits<float>::quiet_NaN()), 4);
  const CloudEstimate estimate = Estimate(cloud, Settings(Estimator::kMle, 4));
  EXPECT_EQ(estimate.nonfinite_rows, 10);
  EXPECT_EQ(estimate.points, 0);
  EXPECT_FALSE(estimate.mean);
}

TEST(BadCloudsTest, DuplicatesAreDroppedFirstKept) {
  PointCloud cloud = testing::Gaussian(200, 4, 3);
  const double mean = *Estimate(cloud, Settings(Estimator::kTwoNn, 16)).mean;
  const std::vector<float> copy = cloud.data();
  cloud.data().insert(cloud.data().end(), copy.begin(), copy.end());
  const CloudEstimate estimate = Estimate(cloud, Settings(Estimator::kTwoNn, 16));
  EXPECT_EQ(estimate.duplicate_rows, 200);
  EXPECT_EQ(estimate.points, 200);
  EXPECT_EQ(*estimate.mean, mean);
}

TEST(BadCloudsTest, EqualRowsAreOnePoint) {
  const CloudEstimate estimate =
      Estimate(PointCloud(std::vector<float>(3000, 0.5f), 3), Settings(Estimator::kTwoNn, 4));
  EXPECT_EQ(estimate.points, 1);
  EXPECT_EQ(estimate.duplicate_rows, 999);
  EXPECT_EQ(estimate.variance, 0);
  EXPECT_FALSE(estimate.mean);
}

TEST(BadCloudsTest, EquidistantPointsAreInvalidNotWrong) {
  std::vector<float> corners(20 * 20);
  for (std::size_t i = 0; i < 20; ++i) corners[i * 21] = 1;
  for (const Estimator estimator : kAll) {
    const CloudEstimate estimate = Estimate(PointCloud(corners, 20), Settings(estimator, 8));
    EXPECT_TRUE(estimate.enough_points);
    EXPECT_FALSE(estimate.mean) << Name(estimator);
    EXPECT_FALSE(estimate.standard_error) << Name(estimator);
  }
  EXPECT_EQ(Estimate(PointCloud(corners, 20), Settings(Estimator::kTwoNn, 8)).invalid, 20);
}

TEST(BadCloudsTest, DistancesBeyondFloatAreInvalidNotWrong) {
  PointCloud cloud = testing::Gaussian(60, 3, 4);
  for (float& value : cloud.data()) value *= 1e30f;
  for (const Estimator estimator : kAll) {
    const CloudEstimate estimate = Estimate(cloud, Settings(estimator, 8));
    EXPECT_FALSE(estimate.mean) << Name(estimator);
  }
}

TEST(BadCloudsTest, VarianceIsTheMeanSquaredDistanceToTheCentroid) {
  const CloudEstimate estimate =
      Estimate(PointCloud({1, 0, -1, 0, 0, 1, 0, -1}, 2), Settings(Estimator::kTwoNn, 4));
  EXPECT_DOUBLE_EQ(estimate.variance, 1);
}

TEST(BadCloudsTest, BadSettingsAndShapesAreTheCallersFault) {
  ThreadPool pool(0);
  const testing::ManualClock clock;
  EstimatorSettings settings;
  settings.neighbors = 3;
  EXPECT_TRUE(
      absl::IsInvalidArgument(EstimateCloud(PointCloud(3).view(), settings, pool, clock).status()));
  const absl::StatusOr<CloudEstimate> estimate =
      EstimateCloud(PointCloudView(), EstimatorSettings(), pool, clock);
  EXPECT_TRUE(absl::IsInvalidArgument(estimate.status()));
  EXPECT_THAT(std::string(estimate.status().message()),
              ::testing::HasSubstr("dimension: got 0; 1 to 65536 are allowed"));
}

}  // namespace
}  // namespace dimwatch
