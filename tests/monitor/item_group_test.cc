#include "src/monitor/item_group.h"

#include <gmock/gmock.h>

#include "tests/monitor/job.h"

namespace dimwatch {
namespace {

using testing::Declaration;
using testing::Samples;
using testing::Scalars;
using testing::Snapshot;
using testing::SnapshotProbe;

TEST(ItemGroupTest, SnapshotsOfOneStepAreTogetherUpToTheNumberOfProbes) {
  ItemGroup group(3);
  EXPECT_TRUE(group.Take(Snapshot(1, "layer.0", 10)));
  EXPECT_TRUE(group.Take(Samples(2, "layer.1", 10)));
  EXPECT_TRUE(group.Take(Snapshot(3, "layer.1", 10)));
  EXPECT_TRUE(group.Take(Snapshot(4, "layer.2", 10)));
  EXPECT_FALSE(group.Take(Snapshot(5, "layer.3", 10)));
}

TEST(ItemGroupTest, AnotherStepIsAnotherGroup) {
  ItemGroup group(3);
  EXPECT_TRUE(group.Take(Snapshot(1, "layer.0", 10)));
  EXPECT_FALSE(group.Take(Snapshot(2, "layer.1", 20)));
}

TEST(ItemGroupTest, AProbeWhoseSnapshotEndedDoesNotComeAgain) {
  ItemGroup group(3);
  EXPECT_TRUE(group.Take(Snapshot(1, "layer.0", 10)));
  EXPECT_FALSE(group.Take(Samples(2, "layer.0", 10)));
}

TEST(ItemGroupTest, ScalarsOfRisingStepsAreTogetherUpToALimit) {
  ItemGroup group(3);
  for (int i = 1; i <= ItemGroup::kMostScalars; ++i) {
    EXPECT_FALSE(i > 1 && group.Take(Scalars(i, i - 1, {{"loss", 1}}))) << "not above the last";
    EXPECT_TRUE(group.Take(Scalars(i, i, {{"loss", 1}})));
    EXPECT_FALSE(group.Take(Snapshot(i + 1, "layer.0", i)));
  }
  EXPECT_FALSE(group.Take(Scalars(1000, 1000, {{"loss", 1}})));
}

TEST(ItemGroupTest, WhatIsNoBatchStaysAlone) {
  for (const IngestItem& other : {IngestItem(Scalars(1, 10, {{"loss", 1}})),
                                  IngestItem(Declaration(1, SnapshotProbe("p")))}) {
    ItemGroup first(3);
    EXPECT_TRUE(first.Take(other));
    EXPECT_FALSE(first.Take(Snapshot(2, "layer.0", 10)));
    ItemGroup second(3);
    EXPECT_TRUE(second.Take(Snapshot(2, "layer.0", 10)));
    EXPECT_FALSE(second.Take(other));
  }
}

}  // namespace
}  // namespace dimwatch
