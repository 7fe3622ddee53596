#include "src/knn/recall.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "src/knn/exact.h"
#include "tests/knn/search.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

TEST(RecallTest, IsTheShareOfTrueNeighborsFound) {
  const PointCloud cloud = testing::Gaussian(500, 10, 7);
  const CloudRows rows(cloud.view());
  NeighborLists lists = testing::SearchAll(ExactEngine(), cloud, 10);
  ThreadPool pool(0);
  EXPECT_EQ(MeasureRecall(rows, testing::AllPoints(500), lists, 1, pool).ratio, 1);
  const NeighborLists farther = testing::SearchAll(ExactEngine(), cloud, 12);
  for (std::size_t p = 0; p < 500; ++p) {  // the two nearest are missed
    std::ranges::copy(farther.ids(p).subspan(2), lists.ids(p).begin());
  }
  const Recall recall = MeasureRecall(rows, testing::AllPoints(500), lists, 1, pool);
  EXPECT_NEAR(recall.ratio, 0.8, 1e-12);
  EXPECT_LT(recall.low, 0.8);
  EXPECT_GT(recall.high, 0.8);
}

TEST(RecallTest, PerfectRecallOfAFewQueriesIsNotCertain) {
  const std::vector<double> perfect(100, 1.0);
  EXPECT_EQ(RecallOf(perfect, 128).ratio, 1);
  EXPECT_EQ(RecallOf(perfect, 128).high, 1);
  EXPECT_LT(RecallOf(perfect, 128).low, 0.9995);
  EXPECT_GT(RecallOf(perfect, 128).low, 0.995);
  EXPECT_LT(RecallOf(std::vector(10, 1.0), 128).low, RecallOf(perfect, 128).low);
}

TEST(RecallTest, QueriesThatDifferWidenTheInterval) {
  std::vector<double> ratios(100, 0.98);
  const double even = RecallOf(ratios, 100).low;
  std::fill_n(ratios.begin(), 4, 0.5);
  std::fill(ratios.begin() + 4, ratios.end(), 1.0);  // the same mean
  EXPECT_LT(RecallOf(ratios, 100).low, even - 0.01);
}

// Every query misses a share of its own: beta-distributed, so that misses come in clusters.
TEST(RecallTest, TheIntervalHoldsTheTrueRecallNineteenTimesOfTwenty) {
  constexpr std::size_t kNeighbors = 128, kRounds = 2000;
  std::mt19937_64 random(1);
  for (const double missed : {0.002, 0.01, 0.05}) {
    std::gamma_distribution<double> misses(missed * 20), hits((1 - missed) * 20);
    std::size_t held = 0;
    for (std::size_t round = 0; round < kRounds; ++round) {
      std::vector<double> ratios(kCanaryQueries);
      for (double& ratio : ratios) {
        const double m = misses(random), h = hits(random);
        std::binomial_distribution<int> found(kNeighbors, h / (m + h));
        ratio = found(random) / static_cast<double>(kNeighbors);
      }
      const Recall recall = RecallOf(ratios, kNeighbors);
      held += recall.low <= 1 - missed && 1 - missed <= recall.high;
    }
    EXPECT_NEAR(static_cast<double>(held) / kRounds, 0.95, 0.025) << missed;
  }
}

}  // namespace
}  // namespace dimwatch
