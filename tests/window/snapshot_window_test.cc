#include "src/window/snapshot_window.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/window/batches.h"

namespace dimwatch {
namespace {

using testing::Batch;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Values;

TEST(SnapshotWindowTest, GathersTheRowsOfAStepInOrderOfArrivalUntilItsEnd) {
  SnapshotWindow window(false, std::nullopt);
  EXPECT_THAT(window.Add(Batch(1, 10, {1, 2}).batch).clouds, IsEmpty());
  const WindowUpdate update = window.Add(Batch(2, 10, {3}, /*end=*/true).batch);
  ASSERT_EQ(update.clouds.size(), 1U);
  EXPECT_EQ(update.clouds[0].step, Step{10});
  EXPECT_EQ(update.clouds[0].fill, 1);
  EXPECT_THAT(Values(update.clouds[0]), ElementsAre(1, 2, 3));
  EXPECT_FALSE(update.rewound_to);
}

TEST(SnapshotWindowTest, ALaterStepClosesTheOpenOne) {
  SnapshotWindow window(false, std::nullopt);
  window.Add(Batch(1, 10, {1}).batch);
  const WindowUpdate update = window.Add(Batch(2, 20, {2}, /*end=*/true).batch);
  ASSERT_EQ(update.clouds.size(), 2U);
  EXPECT_EQ(update.clouds[0].step, Step{10});
  EXPECT_THAT(Values(update.clouds[0]), ElementsAre(1));
  EXPECT_EQ(update.clouds[1].step, Step{20});
  EXPECT_THAT(Values(update.clouds[1]), ElementsAre(2));
}

TEST(SnapshotWindowTest, AnEarlierStepDropsWhatIsOpenAndReportsARewind) {
  SnapshotWindow window(false, std::nullopt);
  window.Add(Batch(1, 20, {1}).batch);
  const WindowUpdate update = window.Add(Batch(2, 10, {2}, /*end=*/true).batch);
  EXPECT_EQ(update.rewound_to, Step{10});
  ASSERT_EQ(update.clouds.size(), 1U);
  EXPECT_THAT(Values(update.clouds[0]), ElementsAre(2));
}

TEST(SnapshotWindowTest, AClosedStepThatComesAgainIsARewind) {
  SnapshotWindow window(false, std::nullopt);
  window.Add(Batch(1, 10, {1}, /*end=*/true).batch);
  EXPECT_EQ(window.Add(Batch(2, 10, {2}).batch).rewound_to, Step{10});
  EXPECT_THAT(Values(*window.Close()), ElementsAre(2));
}

TEST(SnapshotWindowTest, KnowsTheStepThatWasClosedBeforeARestart) {
  SnapshotWindow window(false, Step{10});
  EXPECT_EQ(window.Add(Batch(5, 10, {2}).batch).rewound_to, Step{10});
  SnapshotWindow other(false, Step{10});
  EXPECT_FALSE(other.Add(Batch(5, 11, {2}).batch).rewound_to);
}

TEST(SnapshotWindowTest, NeedsItsOpenBatchesAndIfAskedThoseOfThePreviousSnapshot) {
  SnapshotWindow plain(false, std::nullopt);
  SnapshotWindow keeping(true, std::nullopt);
  for (SnapshotWindow* window : {&plain, &keeping}) {
    EXPECT_EQ(window->first_needed_seq(), std::nullopt);
    window->Add(Batch(3, 10, {1}).batch);
    window->Add(Batch(4, 10, {1}, /*end=*/true).batch);
  }
  EXPECT_EQ(plain.first_needed_seq(), std::nullopt);
  EXPECT_EQ(keeping.first_needed_seq(), 3);
  for (SnapshotWindow* window : {&plain, &keeping}) window->Add(Batch(7, 20, {1}).batch);
  EXPECT_EQ(plain.first_needed_seq(), 7);
  EXPECT_EQ(keeping.first_needed_seq(), 3);
  keeping.Add(Batch(9, 5, {1}).batch);
  EXPECT_EQ(keeping.first_needed_seq(), 9);
}

TEST(SnapshotWindowTest, CountsDroppedAndNonfiniteRowsAndKeepsIdsOnlyIfAllHaveThem) {
  SnapshotWindow window(false, std::nullopt);
  const std::vector<std::int64_t> ids = {7, 8};
  Batch first(1, 10, {1, std::numeric_limits<float>::quiet_NaN()});
  first.batch.sample_ids = ids;
  first.batch.dropped_rows = 2;
  EXPECT_EQ(window.Add(first.batch).nonfinite_rows, 1);
  Batch second(2, 10, {3});
  second.batch.dropped_rows = 1;
  window.Add(second.batch);
  const std::optional<Cloud> cloud = window.Close();
  EXPECT_EQ(cloud->dropped_rows, 3);
  EXPECT_THAT(cloud->sample_ids, IsEmpty());

  window.Add([&]() -> WindowBatch& {
    first.batch.step = Step{20};
    return first.batch;
  }());
  EXPECT_THAT(window.Close()->sample_ids, ElementsAre(7, 8));
}

}  // namespace
}  // namespace dimwatch
