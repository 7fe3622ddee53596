// Whether the standard error is that of a new draw: intervals of many draws must cover their mean.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

struct Draws {
  std::vector<double> means;
  std::vector<double> errors;
};

Draws DrawMany(const std::function<PointCloud(std::uint64_t)>& draw,
               const EstimatorSettings& settings) {
  Draws draws;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
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

// The spread of 40 draws is known to 11 %.
void ExpectHonest(const Draws& draws, double least, double most) {
  const double ratio = Mean(draws.errors) / Spread(draws.means);
  EXPECT_GT(ratio, least);
  EXPECT_LT(ratio, most);
}

PointCloud Gaussian(std::uint64_t seed) { return testing::Gaussian(900, 8, seed); }
PointCloud Sphere(std::uint64_t seed) { return testing::Sphere(900, 4, seed); }

TEST(StandardErrorTest, OfTheLocalTwoNnIsTheSpreadOfDraws) {
  const EstimatorSettings settings = testing::Settings(Estimator::kTwoNn, 48);
  ExpectHonest(DrawMany(Gaussian, settings), 0.75, 1.35);
  ExpectHonest(DrawMany(Sphere, settings), 0.75, 1.35);
}

TEST(StandardErrorTest, OfTheOtherEstimatorsIsTheSpreadOfDrawsOrSomewhatMore) {
  for (const Estimator estimator :
       {Estimator::kTwoNnGlobal, Estimator::kMle, Estimator::kMom, Estimator::kGride}) {
    ExpectHonest(DrawMany(Gaussian, testing::Settings(estimator, 32)), 0.75, 1.6);
  }
}

TEST(StandardErrorTest, OfSomeQueriesCountsTheirChoice) {
  EstimatorSettings settings = testing::Settings(Estimator::kTwoNn, 48);
  settings.queries = 60;
  ExpectHonest(DrawMany(Gaussian, settings), 0.75, 1.5);
}

TEST(StandardErrorTest, FallsAsTheRootOfThePoints) {
  const EstimatorSettings settings = testing::Settings(Estimator::kTwoNn, 32);
  const double of_600 = *testing::Estimate(testing::Gaussian(600, 5, 1), settings).standard_error;
  const double of_2400 = *testing::Estimate(testing::Gaussian(2400, 5, 1), settings).standard_error;
  EXPECT_NEAR(of_600 / of_2400, 2, 0.5);
}

}  // namespace
}  // namespace dimwatch
