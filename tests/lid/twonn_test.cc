#include "src/lid/twonn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

// Sorted ln mu of ideal data: exponential with rate d.
std::vector<double> Ratios(std::size_t count, double d, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::exponential_distribution<double> exponential(d);
  std::vector<double> ratios(count);
  for (double& ratio : ratios) ratio = exponential(random);
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

TEST(FitTwoNnTest, TheTinyCaseByHand) {
  const PointCloud cloud({0, 0, 1, 0, 3, 0, 7, 0, 15, 0}, 2);
  EstimatorSettings settings = testing::Settings(Estimator::kTwoNnGlobal, 4);
  EXPECT_NEAR(*testing::Estimate(cloud, settings).mean, 0.9579568899027028, 1e-6);
  settings.cdf = Cdf::kUpper;
  EXPECT_NEAR(*testing::Estimate(cloud, settings).mean, 1.8329829959945967, 1e-6);
}

TEST(FitTwoNnTest, MaximumLikelihoodIsUnbiasedOnIdealData) {
  double sum = 0;
  constexpr int kDraws = 4000;
  for (int draw = 0; draw < kDraws; ++draw) {
    sum += *FitTwoNn(Ratios(64, 8, static_cast<std::uint64_t>(draw)), Cdf::kPaper, Fit::kMl);
  }
  EXPECT_NEAR(sum / kDraws, 8, 4 * 8 / std::sqrt(57.0 * kDraws));
}

TEST(FitTwoNnTest, InfiniteRatiosMatterOnlyWhereTheyAreRetained) {
  std::vector<double> ratios = Ratios(100, 5, 1);
  std::fill(ratios.begin() + 90, ratios.end(), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(FitTwoNn(ratios, Cdf::kPaper, Fit::kOls));
  ratios[89] = ratios[90];
  EXPECT_FALSE(FitTwoNn(ratios, Cdf::kPaper, Fit::kOls));
  EXPECT_FALSE(FitTwoNn(ratios, Cdf::kPaper, Fit::kMl));
}

TEST(FitTwoNnTest, EqualDistancesHaveNoDimension) {
  EXPECT_FALSE(FitTwoNn(std::vector<double>(20), Cdf::kPaper, Fit::kOls));
}

TEST(TwoNnInfluenceTest, IsWhatMoreCopiesOfTheRatioDo) {
  constexpr int kCopies = 10;  // one in ten is left out again
  for (const Fit fit : {Fit::kOls, Fit::kMl}) {
    const std::vector<double> ratios = Ratios(4000, 6, 3);
    const double dimension = *FitTwoNn(ratios, Cdf::kUpper, fit);
    std::vector<double> influence(ratios.size());
    TwoNnInfluence(ratios, dimension, Cdf::kUpper, fit, influence);
    double largest = 0;
    for (const double value : influence) largest = std::max(largest, std::fabs(value));
    for (const std::size_t k : {5u, 2000u, 3300u, 3900u}) {
      std::vector<double> more = ratios;
      more.insert(more.begin() + static_cast<std::ptrdiff_t>(k), kCopies, ratios[k]);
      EXPECT_NEAR((*FitTwoNn(more, Cdf::kUpper, fit) - dimension) / kCopies, influence[k],
                  0.3 * largest)
          << Name(fit) << " " << k;
    }
  }
}

}  // namespace
}  // namespace dimwatch
