#include "src/monitor/paired_change.h"

#include <gmock/gmock.h>

#include <cmath>
#include <iostream>
#include <random>

#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

SnapshotLids Keyed(const PointwiseLid& lids, const std::vector<std::int64_t>& sample_ids = {}) {
  return KeyedByInput(lids, sample_ids);
}

TEST(PairedChangeTest, PairsByRowWhereNoIdsAreGivenAndLeavesInvalidOnesOut) {
  const SnapshotLids before = Keyed({{0, 1, 2, 4}, {1.0, std::nullopt, 3.0, 5.0}, {}, {}});
  const SnapshotLids after = Keyed({{0, 1, 2, 3}, {2.0, 9.0, 6.0, 9.0}, {}, {}});
  const std::optional<PairedChange> change = Compare(before, after);
  ASSERT_TRUE(change);
  EXPECT_DOUBLE_EQ(change->mean, 2);  // of 1 and 3
}

TEST(PairedChangeTest, PairsBySampleIdWhateverTheOrderOfRows) {
  const SnapshotLids before = Keyed({{0, 1, 2}, {1.0, 2.0, 3.0}, {}, {}}, {30, 10, 20});
  EXPECT_THAT(before.lids, ElementsAre(Pair(10, 2.0), Pair(20, 3.0), Pair(30, 1.0)));
  const SnapshotLids after = Keyed({{0, 1, 2}, {2.5, 3.5, 1.5}, {}, {}}, {10, 20, 30});
  EXPECT_DOUBLE_EQ(Compare(before, after)->mean, 0.5);
  EXPECT_DOUBLE_EQ(Compare(before, after)->standard_error, 0);
}

TEST(PairedChangeTest, AnInputThatPullsBothSnapshotsAlikeDoesNotCount) {
  PointwiseLid lids{{0, 1}, {1.0, 2.0}, {0, 1}, {0.5, -0.5}};
  const SnapshotLids before = Keyed(lids);
  EXPECT_DOUBLE_EQ(Compare(before, before)->standard_error, 0);
  lids.shift = {0.8, -0.9};
  EXPECT_DOUBLE_EQ(Compare(before, Keyed(lids))->standard_error, 0.5);  // of 0.3 and -0.4
}

TEST(PairedChangeTest, AnInputOfOneSnapshotAloneCountsWithItsWholeShift) {
  const SnapshotLids before = Keyed({{0, 1}, {1.0, 2.0}, {0, 1, 2}, {0.5, -0.5, 0.3}});
  const SnapshotLids after = Keyed({{0, 1}, {1.0, 2.0}, {0, 1, 3}, {0.5, -0.5, 0.4}});
  EXPECT_DOUBLE_EQ(Compare(before, after)->standard_error, 0.5);  // of -0.3 and 0.4
}

// Of a cloud and a copy of which every point was moved, drawn anew many times.
TEST(PairedChangeTest, TheErrorIsThatOfNewDrawsOfTheInputs) {
  constexpr int kDraws = 40, kPoints = 500, kDim = 6;
  EstimatorSettings settings;
  settings.neighbors = 32;
  ThreadPool pool(1);
  const testing::ManualClock clock;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  double sum = 0, squares = 0, error = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<float> before(kPoints * kDim), after;
    for (float& x : before) x = normal(random);
    after = before;
    for (float& x : after) x += 0.2f * normal(random);
    PointwiseLid first, second;
    ASSERT_TRUE(EstimateCloud({before, kPoints, kDim}, settings, pool, clock, &first).ok());
    ASSERT_TRUE(EstimateCloud({after, kPoints, kDim}, settings, pool, clock, &second).ok());
    const PairedChange change = *Compare(Keyed(first), Keyed(second));
    sum += change.mean;
    squares += change.mean * change.mean;
    error += change.standard_error / kDraws;
  }
  const double sd = std::sqrt((squares - sum * sum / kDraws) / (kDraws - 1));
  std::cout << "mean error / sd of draws: " << error / sd << "\n";
  EXPECT_GT(error / sd, 0.7);
  EXPECT_LT(error / sd, 1.5);
}

TEST(PairedChangeTest, KeepsTheFirstOfRowsWithTheSameId) {
  const SnapshotLids lids = Keyed({{0, 1, 2}, {1.0, 2.0, 3.0}, {}, {}}, {5, 4, 5});
  EXPECT_THAT(lids.lids, ElementsAre(Pair(4, 2.0), Pair(5, 1.0)));
}

TEST(PairedChangeTest, ThereIsNoneOfFewerThanTwoPairsOrOfDifferentKeys) {
  const SnapshotLids rows = Keyed({{0, 1}, {1.0, 2.0}, {}, {}});
  EXPECT_FALSE(Compare(rows, Keyed({{1, 2}, {1.0, 2.0}, {}, {}})));
  EXPECT_FALSE(Compare(rows, Keyed({{0, 1}, {1.0, 2.0}, {}, {}}, {0, 1})));
  EXPECT_TRUE(Compare(rows, rows));
}

}  // namespace
}  // namespace dimwatch
