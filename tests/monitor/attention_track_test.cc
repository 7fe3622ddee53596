#include "src/monitor/attention_track.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/monitor/job.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

using testing::AttentionProbe;
using testing::Dimensions;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Maps;

class AttentionTrackTest : public ::testing::Test {
 protected:
  // The one estimate that comes of a batch.
  AttentionRecord Estimate(const AttentionItem& item) {
    AttentionTrack::Update update = track_.Add(item);
    EXPECT_EQ(update.estimates.size(), 1U);
    return update.estimates.empty() ? AttentionRecord() : update.estimates.front();
  }

  testing::ManualClock clock_;
  AttentionTrack track_{AttentionProbe("p"), clock_};
};

TEST_F(AttentionTrackTest, AStepGivesOneEstimateWithItsErrorAndSettings) {
  const AttentionRecord record = Estimate(Dimensions(1, "p", 10, {2, 4, 6}));
  EXPECT_EQ(record.probe, "p");
  EXPECT_EQ(record.step, Step{10});
  EXPECT_TRUE(record.complete) << record.incomplete_reason;
  EXPECT_DOUBLE_EQ(*record.estimate.mean, 4);
  EXPECT_DOUBLE_EQ(*record.estimate.standard_error, 2 / std::sqrt(3.0));
  EXPECT_EQ(record.estimate.settings, (AttentionSettings{.epsilon = 0.1, .heads = 2}));
  EXPECT_EQ(track_.latest()->step, Step{10});
}

TEST_F(AttentionTrackTest, MapsAreCountedAsTheClientWould) {
  const AttentionRecord record = Estimate(Maps(1, "p", 1, {{0.5, 0.5}, {0.95F, 0.05F}, {1, 0}}));
  EXPECT_DOUBLE_EQ(*record.estimate.mean, 4 / 3.0);
  EXPECT_THAT(record.baseline,
              ElementsAre(PromptDimension{0, 2}, PromptDimension{1, 1}, PromptDimension{2, 1}));
}

TEST_F(AttentionTrackTest, BatchesOfAStepMakeOneEstimateWhenALaterStepComes) {
  AttentionItem part = Dimensions(1, "p", 10, {2, 4});
  part.snapshot_end = false;
  EXPECT_THAT(track_.Add(part).estimates, IsEmpty());
  EXPECT_EQ(track_.first_needed_seq(), 1);
  part = Dimensions(2, "p", 10, {9});
  part.prompt_ids = {2};
  part.snapshot_end = false;
  EXPECT_THAT(track_.Add(part).estimates, IsEmpty());
  part = Dimensions(3, "p", 20, {1, 1});
  part.snapshot_end = false;
  const AttentionRecord record = Estimate(part);
  EXPECT_EQ(record.step, Step{10});
  EXPECT_DOUBLE_EQ(*record.estimate.mean, 5);
  EXPECT_EQ(track_.first_needed_seq(), 3);
  EXPECT_EQ(track_.Close()->step, Step{20});
  EXPECT_FALSE(track_.Close() || track_.first_needed_seq());
}

TEST_F(AttentionTrackTest, TheFirstCompleteStepIsTheBaselineOfTheLaterOnes) {
  AttentionItem lost = Dimensions(1, "p", 5, {1, 1, 1});
  lost.dropped_prompts = 4;
  const AttentionRecord incomplete = Estimate(lost);
  EXPECT_EQ(incomplete.incomplete_reason, "4 prompts were dropped by the client, or refused");
  EXPECT_FALSE(incomplete.complete || incomplete.baseline_step);

  const AttentionRecord baseline = Estimate(Dimensions(2, "p", 10, {2, 4, 6}));
  EXPECT_EQ(baseline.baseline_step, Step{10});
  EXPECT_EQ(baseline.baseline.size(), 3U);
  EXPECT_FALSE(baseline.baseline_change);

  const AttentionRecord later = Estimate(Dimensions(3, "p", 20, {3, 5, 7}));
  EXPECT_EQ(later.baseline_step, Step{10});
  EXPECT_THAT(later.baseline, IsEmpty());
  ASSERT_TRUE(later.baseline_change);
  EXPECT_DOUBLE_EQ(later.baseline_change->mean, 1);
  EXPECT_DOUBLE_EQ(later.baseline_change->standard_error, 0);
  EXPECT_EQ(later.baseline_change->prompts, 3);
}

TEST_F(AttentionTrackTest, WithoutIdsNothingIsCompared) {
  AttentionItem nameless = Dimensions(1, "p", 10, {2, 4, 6});
  nameless.prompt_ids.clear();
  const AttentionRecord record = Estimate(nameless);
  EXPECT_TRUE(record.complete);
  EXPECT_FALSE(record.baseline_step);
}

TEST_F(AttentionTrackTest, InvalidPromptsAreLeftOutAndCounted) {
  AttentionItem item = Maps(1, "p", 1, {{0.5, 0.5}, {0.5, 0.5}, {1, 0}});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  item.data.replace(0, sizeof nan, reinterpret_cast<const char*>(&nan), sizeof nan);
  AttentionTrack::Update update = track_.Add(item);
  EXPECT_EQ(update.invalid_prompts, 1);
  EXPECT_EQ(update.estimates[0].estimate.invalid, 1);
  EXPECT_EQ(update.estimates[0].estimate.prompts, 2);
  AttentionItem none = Dimensions(2, "p", 2, {});
  none.heads = 1;
  none.invalid_prompts = 5;
  const AttentionRecord empty = Estimate(none);
  EXPECT_EQ(empty.incomplete_reason, "0 valid prompts; at least 2 are needed");
  EXPECT_FALSE(empty.estimate.mean);
  EXPECT_EQ(empty.estimate.invalid, 5);
}

TEST_F(AttentionTrackTest, AJobThatGoesBackVoidsTheBaselineBehindIt) {
  Estimate(Dimensions(1, "p", 10, {2, 4}));
  Estimate(Dimensions(2, "p", 20, {2, 4}));
  AttentionTrack::Update update = track_.Add(Dimensions(3, "p", 20, {8, 8}));
  EXPECT_EQ(update.rewound_to, Step{20});
  EXPECT_EQ(update.estimates[0].baseline_step, Step{10});
  update = track_.Add(Dimensions(4, "p", 5, {1, 2}));
  EXPECT_EQ(update.rewound_to, Step{5});
  EXPECT_EQ(update.estimates[0].baseline_step, Step{5});
  EXPECT_EQ(update.estimates[0].baseline.size(), 2U);
}

}  // namespace
}  // namespace dimwatch
