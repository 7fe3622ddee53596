#include "src/monitor/run_pipeline.h"

#include <gmock/gmock.h>

#include "tests/monitor/job.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

using testing::Declaration;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewRun;
using testing::RollingProbe;
using testing::Samples;
using testing::Scalars;
using testing::Snapshot;
using testing::SnapshotProbe;

class RunPipelineTest : public ::testing::Test {
 protected:
  ThreadPool pool_{2};
  testing::ManualClock clock_;
  RunPipeline pipeline_{NewRun("r", {SnapshotProbe("train/a"), RollingProbe("train/b")}), pool_,
                        clock_};
};

TEST_F(RunPipelineTest, ASnapshotGivesOneEstimateWithItsNumbers) {
  const std::optional<RunChanges> changes = pipeline_.Apply(Snapshot(1, "train/a", 10, 200, 3));
  ASSERT_TRUE(changes);
  ASSERT_EQ(changes->estimates.size(), 1U);
  const EstimateRecord& record = changes->estimates[0];
  EXPECT_EQ(record.probe, "train/a");
  EXPECT_EQ(record.step, Step{10});
  EXPECT_TRUE(record.complete) << record.incomplete_reason;
  EXPECT_EQ(record.estimate.points, 200);
  EXPECT_GT(*record.estimate.mean, 1);
  EXPECT_EQ(record.rolling_mean, record.estimate.mean);
  EXPECT_EQ(changes->run.applied_seq, 1);
  EXPECT_EQ(changes->run.last_step, Step{10});
  EXPECT_EQ(changes->run.probes[0].dim, 3);
  ASSERT_EQ(pipeline_.latest_estimates().size(), 1U);
}

TEST_F(RunPipelineTest, TheFirstOfSoManyEstimatesCarriesAScaleProfile) {
  ProbeSettings profiled = SnapshotProbe("train/a");
  profiled.scale_every = 3;
  RunPipeline pipeline(NewRun("r", {profiled}), pool_, clock_);
  std::vector<std::int64_t> steps;
  std::int64_t seq = 0;
  const auto apply = [&](std::int64_t step, std::int64_t rows = 100) {
    const auto changes = pipeline.Apply(Snapshot(++seq, "train/a", step, rows));
    for (const EstimateRecord& record : changes->estimates) {
      if (record.scale_profile) steps.push_back(record.step.value);
    }
  };
  for (std::int64_t step = 1; step <= 7; ++step) apply(step);
  EXPECT_THAT(steps, ElementsAre(1, 4, 7));
  ASSERT_EQ(pipeline.latest_profiles().size(), 1U);
  const ScaleProfile profile = *pipeline.latest_profiles()[0].scale_profile;
  EXPECT_EQ(profile.gride.size(), 6U);  // 2 to 64 of 99 others
  EXPECT_NEAR(*profile.gride[0].dimension, 3, 1.5);
  EXPECT_EQ(profile.twonn.size(), 1U);
  // The job goes back: the next are counted from what is left.
  apply(4);
  EXPECT_THAT(steps, ElementsAre(1, 4, 7, 4));
  apply(5);
  EXPECT_EQ(pipeline.latest_profiles()[0].step, Step{4});
  // None of a cloud without a dimension; it is not made up for.
  apply(6, 5);
  apply(7, 5);
  apply(8);
  EXPECT_EQ(steps.size(), 4U);
  apply(3);
  EXPECT_THAT(pipeline.latest_profiles(), IsEmpty());
}

TEST_F(RunPipelineTest, WhatGivesNoRecordGivesNoCommit) {
  EXPECT_FALSE(pipeline_.Apply(Samples(1, "train/a", 10)));
  EXPECT_EQ(pipeline_.run().applied_seq, 1);
  EXPECT_EQ(pipeline_.first_needed_seq(), 1);
  EXPECT_GT(pipeline_.window_bytes(), 0);
}

TEST_F(RunPipelineTest, TooFewPointsAreAnIncompleteEstimateWithTheReason) {
  const auto changes = pipeline_.Apply(Snapshot(1, "train/a", 10, 5, 3));
  const EstimateRecord& record = changes->estimates[0];
  EXPECT_FALSE(record.complete);
  EXPECT_EQ(record.incomplete_reason,
            "5 distinct finite points; more than 5 (neighbors) are needed");
  EXPECT_FALSE(record.estimate.mean);
  EXPECT_FALSE(record.rolling_mean);
}

TEST_F(RunPipelineTest, AWindowThatIsNotFullIsIncomplete) {
  const auto changes = pipeline_.Apply(Samples(1, "train/b", 10, 30, 3));
  EXPECT_FALSE(changes->estimates[0].complete);
  EXPECT_EQ(changes->estimates[0].incomplete_reason, "the window is not full: 30 of 40 samples");
  EXPECT_EQ(changes->estimates[0].window_fill, 0.75);
  EXPECT_TRUE(pipeline_.Apply(Samples(2, "train/b", 20, 30, 3, 1))->estimates[0].complete);
}

TEST_F(RunPipelineTest, RowsThatTheClientDroppedMakeAnEstimateIncomplete) {
  SampleItem item = Snapshot(1, "train/a", 10);
  item.dropped_rows = 7;
  EXPECT_EQ(pipeline_.Apply(item)->estimates[0].incomplete_reason,
            "7 rows were dropped by the client, or refused");
}

TEST_F(RunPipelineTest, NonfiniteRowsAreLeftOutAndCounted) {
  SampleItem item = Snapshot(1, "train/a", 10);
  item.data.replace(0, 4, std::string("\0\0\xc0\x7f", 4));
  const auto changes = pipeline_.Apply(item);
  EXPECT_EQ(changes->estimates[0].estimate.nonfinite_rows, 1);
  EXPECT_TRUE(changes->estimates[0].complete);
  EXPECT_EQ(pipeline_.nonfinite_rows(), 1);
}

TEST_F(RunPipelineTest, TheRollingMeanCoversFiveCompleteEstimates) {
  std::vector<double> means;
  std::optional<double> rolling;
  for (std::int64_t i = 1; i <= 7; ++i) {
    const std::int64_t rows = i == 3 ? 4 : 40;
    const auto changes =
        pipeline_.Apply(Snapshot(i, "train/a", i * 10, rows, 3, static_cast<unsigned>(i)));
    if (i != 3) means.push_back(*changes->estimates[0].estimate.mean);
    rolling = changes->estimates[0].rolling_mean;
  }
  double sum = 0;
  for (std::size_t i = means.size(); i > means.size() - 5; --i) sum += means[i - 1];
  EXPECT_DOUBLE_EQ(*rolling, sum / 5);
}

TEST_F(RunPipelineTest, ARewindIsRecordedAndReplacesTheSeriesFromThere) {
  for (std::int64_t i = 1; i <= 3; ++i) pipeline_.Apply(Snapshot(i, "train/a", i * 10));
  const auto back = pipeline_.Apply(Samples(4, "train/a", 20));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->rewinds.size(), 1U);
  EXPECT_EQ(back->rewinds[0].probe, "train/a");
  EXPECT_EQ(back->rewinds[0].step, Step{20});
  EXPECT_THAT(back->estimates, IsEmpty());
  EXPECT_THAT(pipeline_.latest_estimates(), IsEmpty());
  const auto later = pipeline_.Apply(Snapshot(5, "train/a", 25));
  EXPECT_THAT(later->rewinds, IsEmpty());
  EXPECT_EQ(later->estimates.size(), 2U);
}

TEST_F(RunPipelineTest, ScalarsOfABatchShareACursorAndRewindOneByOne) {
  const auto first = pipeline_.Apply(Scalars(1, 10, {{"a", 1}, {"b", 2}}));
  EXPECT_EQ(first->scalars.size(), 2U);
  EXPECT_EQ(first->scalars[0].cursor, first->scalars[1].cursor);
  const auto second = pipeline_.Apply(Scalars(2, 10, {{"a", 3}, {"c", 4}}));
  ASSERT_EQ(second->rewinds.size(), 1U);
  EXPECT_EQ(second->rewinds[0].scalar, "a");
  EXPECT_EQ(second->rewinds[0].step, Step{10});
  EXPECT_EQ(pipeline_.latest_scalars().size(), 3U);
}

TEST_F(RunPipelineTest, CursorsGrowOverAllKinds) {
  std::int64_t last = pipeline_.run().next_cursor - 1;
  for (std::int64_t i = 1; i <= 20; ++i) {
    const auto squeeze = i % 2 == 0 ? 3 : 2;
    const auto changes =
        pipeline_.Apply(Snapshot(i, "train/a", i, 60, 3, static_cast<unsigned>(i * squeeze)));
    ASSERT_EQ(changes->estimates[0].cursor, last + 1);
    for (const SignalRecord& record : changes->signals) EXPECT_GT(record.cursor, last + 1);
    EXPECT_GT(changes->run.next_cursor, changes->estimates[0].cursor);
    last = changes->run.next_cursor - 1;
  }
}

TEST_F(RunPipelineTest, AlignedSnapshotsGiveThePairedChange) {
  ProbeSettings aligned = SnapshotProbe("train/p");
  aligned.aligned = true;
  pipeline_.Apply(Declaration(1, aligned));
  EXPECT_FALSE(pipeline_.Apply(Snapshot(2, "train/p", 10))->estimates[0].paired_change);
  const auto same = pipeline_.Apply(Snapshot(3, "train/p", 20));
  EXPECT_EQ(same->estimates[0].paired_change, 0);
  EXPECT_EQ(same->estimates[0].paired_change_standard_error, 0);
  const auto other = pipeline_.Apply(Snapshot(4, "train/p", 30, 30, 3, 1));
  EXPECT_NEAR(*other->estimates[0].paired_change,
              *other->estimates[0].estimate.mean - *same->estimates[0].estimate.mean, 1e-9);
  EXPECT_GT(*other->estimates[0].paired_change_standard_error, 0);
  EXPECT_EQ(pipeline_.first_needed_seq(), 4);
}

TEST_F(RunPipelineTest, FinishingEstimatesWhatIsOpen) {
  pipeline_.Apply(Samples(1, "train/a", 10));
  const RunChanges changes = pipeline_.Finish(false);
  EXPECT_EQ(changes.estimates.size(), 1U);
  EXPECT_EQ(changes.run.state, RunState::kFinished);
  EXPECT_EQ(changes.run.end_time, clock_.Now());
  ASSERT_EQ(changes.states.size(), 1U);
  EXPECT_EQ(changes.states[0].state, RunState::kFinished);
}

TEST_F(RunPipelineTest, ASilentRunIsStaleUntilItSpeaksAgain) {
  EXPECT_FALSE(pipeline_.ObserveSilence(599));
  const auto silent = pipeline_.ObserveSilence(601);
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->run.state, RunState::kStale);
  ASSERT_EQ(silent->signals.size(), 1U);
  EXPECT_EQ(silent->signals[0].signal.kind, SignalKind::kStalled);
  EXPECT_EQ(silent->signals[0].signal.state, SignalState::kFiring);
  EXPECT_FALSE(pipeline_.ObserveSilence(700));
  const auto again = pipeline_.Apply(Samples(1, "train/a", 10));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->run.state, RunState::kRunning);
  EXPECT_EQ(again->signals[0].signal.state, SignalState::kResolved);
}

TEST_F(RunPipelineTest, NewParametersJudgeTheSeriesFromItsBeginning) {
  std::vector<EventRecord> history;
  for (std::int64_t i = 1; i <= 6; ++i) {
    const auto changes =
        pipeline_.Apply(Snapshot(i, "train/a", i * 10, 60, 3, static_cast<unsigned>(i)));
    for (const EstimateRecord& record : changes->estimates) history.emplace_back(record);
  }
  SignalSettings signals = pipeline_.run().signals;
  signals.collapse_lid = 100;
  const RunChanges changes = pipeline_.Rejudge(signals, pipeline_.run().policy, "me", history);
  EXPECT_EQ(changes.run.signals, signals);
  bool collapsed = false;
  for (const SignalRecord& record : changes.signals) {
    collapsed |=
        record.signal.kind == SignalKind::kCollapsed && record.signal.state == SignalState::kFiring;
  }
  EXPECT_TRUE(collapsed);
  ASSERT_EQ(changes.decisions.size(), 1U);
  EXPECT_EQ(changes.decisions[0].decision.verdict, Verdict::kStop);
}

}  // namespace
}  // namespace dimwatch
