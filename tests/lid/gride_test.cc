#include "src/lid/gride.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace dimwatch {
namespace {

// ln of mu = r_{2 n} / r_n in dimension d: (r_n / r_{2n})^d is Beta(n, n).
std::vector<double> Ratios(std::size_t count, int n1, double d, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::gamma_distribution<double> gamma(n1);
  std::vector<double> ratios(count);
  for (double& ratio : ratios) {
    const double inner = gamma(random), between = gamma(random);
    ratio = -std::log(inner / (inner + between)) / d;
  }
  return ratios;
}

TEST(GrideTest, RecoversTheDimensionOfIdealRatios) {
  for (const int n1 : {1, 2, 16, 64}) {
    for (const double d : {0.7, 5.0, 40.0}) {
      const std::vector<double> ratios = Ratios(20'000, n1, d, 1);
      const std::optional<Gride> fit = FitGride(ratios, n1);
      ASSERT_TRUE(fit);
      EXPECT_NEAR(fit->dimension, d, 4 / std::sqrt(fit->information)) << n1;
    }
  }
}

TEST(GrideTest, AtTheFirstScaleIsTheUnbiasedTwoNn) {
  const std::vector<double> ratios = Ratios(100, 1, 3, 2);
  const double sum = std::accumulate(ratios.begin(), ratios.end(), 0.0);
  EXPECT_NEAR(FitGride(ratios, 1)->dimension, 99 / sum, 1e-12 * 99 / sum);
}

TEST(GrideTest, InfluenceIsWhatAnotherCopyOfTheRatioDoes) {
  std::vector<double> ratios = Ratios(2000, 4, 6, 3);
  const Gride fit = *FitGride(ratios, 4);
  const std::vector<RatioInfluence> influence = GrideInfluence(ratios, 4, fit);
  for (const std::size_t i : {0u, 700u, 1999u}) {
    ratios.push_back(ratios[i]);
    EXPECT_NEAR(FitGride(ratios, 4)->dimension - fit.dimension, influence[i].own, 3e-5);
    ratios.pop_back();
  }
}

TEST(GrideTest, InfluenceOfAPointIsThatOfTheRatioThatItChanges) {
  std::vector<double> ratios = Ratios(2000, 4, 6, 3);
  ratios[7] = 1e-7;  // its terms cancel
  const Gride fit = *FitGride(ratios, 4);
  const std::vector<RatioInfluence> influence = GrideInfluence(ratios, 4, fit);
  for (const std::size_t i : {0u, 7u, 700u, 1999u}) {
    constexpr double kWeight = 1e-3;
    std::vector<double> moved = ratios;
    moved[i] += kWeight / (2 * 4 * fit.dimension);
    const double change = FitGride(moved, 4)->dimension - fit.dimension;
    EXPECT_NEAR(change / kWeight, influence[i].near, 1e-3 * std::fabs(influence[i].near)) << i;
  }
}

TEST(GrideTest, NoRatioOrOnlyZerosHaveNoDimension) {
  EXPECT_FALSE(FitGride({}, 1));
  EXPECT_FALSE(FitGride(std::vector<double>{0, 0}, 2));
  EXPECT_TRUE(FitGride(std::vector<double>{0, 0.1, 0.2, 0.3}, 2));
}

}  // namespace
}  // namespace dimwatch
