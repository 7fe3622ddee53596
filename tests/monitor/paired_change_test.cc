#include "src/monitor/paired_change.h"

#include <gmock/gmock.h>

#include <cmath>

namespace dimwatch {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(PairedChangeTest, PairsByRowWhereNoIdsAreGivenAndLeavesInvalidOnesOut) {
  const LidByInput before = ByInput({{0, 1, 2, 4}, {1.0, std::nullopt, 3.0, 5.0}}, {});
  const LidByInput after = ByInput({{0, 1, 2, 3}, {2.0, 9.0, 6.0, 9.0}}, {});
  const std::optional<PairedChange> change = Compare(before, after);
  ASSERT_TRUE(change);
  EXPECT_DOUBLE_EQ(change->mean, 2);            // of 1 and 3
  EXPECT_DOUBLE_EQ(change->standard_error, 1);  // sd sqrt(2), over sqrt(2)
}

TEST(PairedChangeTest, PairsBySampleIdWhateverTheOrderOfRows) {
  const LidByInput before = ByInput({{0, 1, 2}, {1.0, 2.0, 3.0}}, {30, 10, 20});
  EXPECT_THAT(before.lids, ElementsAre(Pair(10, 2.0), Pair(20, 3.0), Pair(30, 1.0)));
  const LidByInput after = ByInput({{0, 1, 2}, {2.5, 3.5, 1.5}}, {10, 20, 30});
  EXPECT_DOUBLE_EQ(Compare(before, after)->mean, 0.5);
  EXPECT_DOUBLE_EQ(Compare(before, after)->standard_error, 0);
}

TEST(PairedChangeTest, TheErrorGrowsWithTheOverlapOfNeighborhoods) {
  CloudEstimate estimate;
  EXPECT_EQ(OverlapFactor(estimate), 1);
  estimate.queries = 101;
  estimate.invalid = 1;
  estimate.std = 2;
  estimate.standard_error = 0.6;
  EXPECT_DOUBLE_EQ(OverlapFactor(estimate), 3);
  estimate.standard_error = 0.1;
  EXPECT_EQ(OverlapFactor(estimate), 1);

  LidByInput before = ByInput({{0, 1}, {1.0, 2.0}}, {});
  const LidByInput after = ByInput({{0, 1}, {2.0, 5.0}}, {});
  EXPECT_DOUBLE_EQ(Compare(before, after)->standard_error, 1);
  before.overlap = 3;
  EXPECT_DOUBLE_EQ(Compare(before, after)->standard_error, 3);
  EXPECT_DOUBLE_EQ(Compare(after, before)->standard_error, 3);
}

TEST(PairedChangeTest, KeepsTheFirstOfRowsWithTheSameId) {
  const LidByInput lids = ByInput({{0, 1, 2}, {1.0, 2.0, 3.0}}, {5, 4, 5});
  EXPECT_THAT(lids.lids, ElementsAre(Pair(4, 2.0), Pair(5, 1.0)));
}

TEST(PairedChangeTest, ThereIsNoneOfFewerThanTwoPairsOrOfDifferentKeys) {
  const LidByInput rows = ByInput({{0, 1}, {1.0, 2.0}}, {});
  EXPECT_FALSE(Compare(rows, ByInput({{1, 2}, {1.0, 2.0}}, {})));
  EXPECT_FALSE(Compare(rows, ByInput({{0, 1}, {1.0, 2.0}}, {0, 1})));
  EXPECT_TRUE(Compare(rows, rows));
}

}  // namespace
}  // namespace dimwatch
