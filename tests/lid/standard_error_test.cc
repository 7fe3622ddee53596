// Whether the standard error is that of a new draw: intervals of many draws must cover their mean.
// tests/bench/calibration.cc measures the same on more and larger clouds.
#include "src/lid/standard_error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "src/lid/queries.h"
#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

struct Draws {
  std::vector<double> means;
  std::vector<double> errors;
};

constexpr int kDraws = 60;

Draws DrawMany(const std::function<PointCloud(std::uint64_t)>& draw, EstimatorSettings settings) {
  Draws draws;
  for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
    settings.seed = static_cast<std::int64_t>(seed);
    const CloudEstimate estimate = testing::Estimate(draw(seed), settings);
    draws.means.push_back(*estimate.mean);
    draws.errors.push_back(*estimate.standard_error);
  }
  return draws;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double Spread(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += std::pow(value - Mean(values), 2);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

// Of 60 intervals that cover 95 % of the time, 51 or more do with a chance of 0.9998, and of such
// that cover 80 % with a chance of 0.2. The spread of 60 draws is known to 9 %.
void ExpectHonest(const Draws& draws, double most = 1.3) {
  int covered = 0;
  for (std::size_t i = 0; i < draws.means.size(); ++i) {
    covered += std::fabs(draws.means[i] - Mean(draws.means)) <= 1.96 * draws.errors[i] ? 1 : 0;
  }
  EXPECT_GE(covered, 51);
  const double ratio = Mean(draws.errors) / Spread(draws.means);
  EXPECT_GT(ratio, 0.75);
  EXPECT_LT(ratio, most);
}

PointCloud Gaussian(std::uint64_t seed) { return testing::Gaussian(600, 8, seed); }
PointCloud Sphere(std::uint64_t seed) { return testing::Sphere(600, 4, seed); }

TEST(StandardErrorTest, OfTheLocalTwoNnIsTheSpreadOfDraws) {
  const EstimatorSettings settings = testing::Settings(Estimator::kTwoNn, 48);
  ExpectHonest(DrawMany(Gaussian, settings));
  ExpectHonest(DrawMany(Sphere, settings));
}

TEST(StandardErrorTest, OfTheOtherEstimatorsIsTheSpreadOfDraws) {
  for (const Estimator estimator :
       {Estimator::kTwoNnGlobal, Estimator::kMle, Estimator::kMom, Estimator::kGride}) {
    ExpectHonest(DrawMany(Gaussian, testing::Settings(estimator, 16)), 1.4);
  }
}

TEST(StandardErrorTest, OfSomeQueriesCountsTheirChoiceOnce) {
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kMle, Estimator::kGride}) {
    EstimatorSettings settings = testing::Settings(estimator, 32);
    settings.queries = 60;
    ExpectHonest(DrawMany(Gaussian, settings));
  }
}

TEST(StandardErrorTest, FallsAsTheRootOfThePoints) {
  const EstimatorSettings settings = testing::Settings(Estimator::kTwoNn, 32);
  const double of_600 = *testing::Estimate(testing::Gaussian(600, 5, 1), settings).standard_error;
  const double of_2400 = *testing::Estimate(testing::Gaussian(2400, 5, 1), settings).standard_error;
  EXPECT_NEAR(of_600 / of_2400, 2, 0.5);
}

TEST(StandardErrorTest, ChangesNeitherWithTheScaleNorWithTheOrderOfRows) {
  const PointCloud cloud = testing::Gaussian(400, 6, 3);
  std::vector<float> scaled, reversed;
  for (std::size_t i = 0; i < 400; ++i) {
    for (const float value : cloud.view().row(i)) scaled.push_back(64 * value);
    const std::span<const float> row = cloud.view().row(399 - i);
    reversed.insert(reversed.end(), row.begin(), row.end());
  }
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kTwoNnGlobal, Estimator::kMle,
                                    Estimator::kMom, Estimator::kGride}) {
    const EstimatorSettings settings = testing::Settings(estimator, 24);
    const double error = *testing::Estimate(cloud, settings).standard_error;
    EXPECT_NEAR(*testing::Estimate({scaled, 6}, settings).standard_error, error, 1e-6 * error);
    EXPECT_NEAR(*testing::Estimate({reversed, 6}, settings).standard_error, error, 1e-6 * error);
  }
}

TEST(StandardErrorTest, ShiftsAreThoseOfTheErrorAndNameEveryPoint) {
  PointwiseLid pointwise;
  const CloudEstimate estimate = testing::Estimate(
      testing::Gaussian(300, 5, 4), testing::Settings(Estimator::kMle, 16), 1, &pointwise);
  ASSERT_EQ(pointwise.shift.size(), 300u);
  EXPECT_TRUE(std::ranges::is_sorted(pointwise.shift_row));
  double squares = 0;
  for (const double shift : pointwise.shift) squares += shift * shift;
  EXPECT_NEAR(std::sqrt(squares), *estimate.standard_error, 1e-9);
}

EstimatorSettings Targeting(double target) {
  EstimatorSettings settings = testing::Settings(Estimator::kTwoNn, 32);
  settings.target_standard_error = target;
  return settings;
}

TEST(TargetTest, AsksNoMoreQueriesThanItTakes) {
  const PointCloud cloud = testing::Gaussian(4000, 5, 5);
  const double of_all = *testing::Estimate(cloud, Targeting(0)).standard_error /
                        *testing::Estimate(cloud, Targeting(0)).mean;
  std::int64_t before = 0;
  for (const double target : {2 * of_all, 1.3 * of_all, 1.1 * of_all}) {
    const CloudEstimate estimate = testing::Estimate(cloud, Targeting(target));
    EXPECT_LE(*estimate.standard_error, target * *estimate.mean);
    EXPECT_GE(estimate.queries, before);
    EXPECT_LT(estimate.queries, 4000);
    before = estimate.queries;
  }
  EXPECT_GT(before, 256);
}

TEST(TargetTest, IsTheEstimateOfSoManyQueriesOnAnyNumberOfThreads) {
  const PointCloud cloud = testing::Gaussian(3000, 5, 6);
  const CloudEstimate estimate = testing::Estimate(cloud, Targeting(0.025));
  EXPECT_EQ(*testing::Estimate(cloud, Targeting(0.025), 3).mean, *estimate.mean);
  EstimatorSettings fixed = testing::Settings(Estimator::kTwoNn, 32);
  fixed.queries = estimate.queries;
  EXPECT_NEAR(*testing::Estimate(cloud, fixed).mean, *estimate.mean, 1e-9);
  EXPECT_NEAR(*testing::Estimate(cloud, fixed).standard_error, *estimate.standard_error, 1e-9);
}

TEST(TargetTest, OutOfReachIsNotBoughtWithTime) {
  const PointCloud cloud = testing::Gaussian(6000, 5, 7);
  const CloudEstimate estimate = testing::Estimate(cloud, Targeting(1e-6));
  const CloudEstimate all = testing::Estimate(cloud, Targeting(0));
  EXPECT_LT(estimate.queries, 3000);
  EXPECT_LT(*estimate.standard_error, 1.2 * *all.standard_error);
}

TEST(TargetTest, AFewPointsAreAllAsked) {
  const CloudEstimate estimate = testing::Estimate(testing::Gaussian(400, 5, 8), Targeting(0.5));
  EXPECT_EQ(estimate.queries, 400);
}

TEST(EnoughQueriesTest, FollowsFromThePartsOfTheError) {
  // A mean of 10, 1 % of choice from 100 queries, 0.5 % of the cloud: variances 0.01 and 0.0025.
  const EstimateError error{std::sqrt(0.0125), 0.01, {}};
  EXPECT_EQ(EnoughQueries(100'000, 100, 10, error, 0.012), 100u);
  // 0.01^2 * 100 - 0.0025 = 0.0075 is left for the choice: 100 / 0.75 queries, and 5 % more.
  EXPECT_EQ(EnoughQueries(100'000, 100, 10, error, 0.01), 140u);
  EXPECT_EQ(EnoughQueries(100'000, 100, 10, error, 0.0055), 400u) << "no more than four times";
  EXPECT_EQ(EnoughQueries(250, 100, 10, error, 0.01), 250u) << "half of them cost as much as all";
  // Out of reach: the choice may be a quarter of 0.0025.
  EXPECT_EQ(EnoughQueries(100'000, 100, 10, error, 0.001), 400u);
  const EstimateError later{std::sqrt(0.0025 + 0.0006), 0.0006, {}};
  EXPECT_EQ(EnoughQueries(100'000, 1667, 10, later, 0.001), 1667u);
}

}  // namespace
}  // namespace dimwatch
