#include "src/monitor/monitor.h"

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <future>

#include "src/monitor/stored_run.h"
#include "tests/monitor/monitor_fixture.h"

namespace dimwatch {
namespace {

using testing::Declaration;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewRun;
using testing::Samples;
using testing::Scalars;
using ::testing::SizeIs;
using testing::Snapshot;
using testing::SnapshotProbe;
using MonitorTest = testing::MonitorFixture;
using Flow = IngestSession::Flow;
using Told = testing::RecordingListener::Told;

bool Ended(const Told& told) { return told.end.has_value(); }

TEST_F(MonitorTest, AJobIsAcknowledgedAndToldItsEstimates) {
  Create("run");
  Job job = Open("run");
  EXPECT_EQ(job.start.resume_seq, 0);
  job.MustOffer(Snapshot(1, "train/a", 10, 200));
  job.MustOffer(Snapshot(2, "train/a", 20, 200));
  ASSERT_TRUE(job.listener->WaitForEstimates(2));
  const Told told = job.listener->told();
  EXPECT_EQ(told.durable_seq, 2);
  EXPECT_EQ(told.estimates[0].step, Step{10});
  EXPECT_EQ(told.estimates[1].step, Step{20});
  EXPECT_EQ(View("run")->latest_estimates[0].step, Step{20});
  EXPECT_EQ(View("run")->run.applied_seq, 2);
  EXPECT_THAT(store_->ReadEstimates("run", {}).value(), SizeIs(2));
}

TEST_F(MonitorTest, TwoRunsDoNotDisturbEachOther) {
  Create("one");
  Create("two");
  Job one = Open("one");
  Job two = Open("two");
  for (std::int64_t i = 1; i <= 20; ++i) {
    one.MustOffer(Snapshot(i, "train/a", i * 10, 40, 3, static_cast<unsigned>(i)));
    if (i % 2 == 0) two.MustOffer(Snapshot(i, "train/a", i * 10, 40, 3, static_cast<unsigned>(i)));
    EXPECT_FALSE(two.Offer(Snapshot(99, "nothing", 1)).rejection.status.ok());
  }
  ASSERT_TRUE(one.listener->WaitForEstimates(20));
  ASSERT_TRUE(two.listener->WaitForEstimates(10));
  Create("alone");
  Job alone = Open("alone");
  for (std::int64_t i = 1; i <= 20; ++i) {
    alone.MustOffer(Snapshot(i, "train/a", i * 10, 40, 3, static_cast<unsigned>(i)));
  }
  ASSERT_TRUE(alone.listener->WaitForEstimates(20));
  EXPECT_EQ(History("one"), History("alone"));
}

TEST_F(MonitorTest, CreatingIsIdempotentButNotAcrossProjectsOrAfterTheEnd) {
  Create("run");
  const auto again = monitor_->CreateRun(NewRun("run", {}));
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->created);
  EXPECT_THAT(again->view->run.probes, SizeIs(1));
  RunRecord other = NewRun("run", {});
  other.project = "others";
  EXPECT_TRUE(absl::IsAlreadyExists(monitor_->CreateRun(other).status()));
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(monitor_->CreateRun(NewRun("run", {})).status()));
}

TEST_F(MonitorTest, BadRunsAreRefusedWithTheFieldAndWhatIsAllowed) {
  const auto refusal = [&](RunRecord run) {
    const absl::Status status = monitor_->CreateRun(std::move(run)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(NewRun("a\x01", {})), HasSubstr("run_id"));
  EXPECT_THAT(refusal(NewRun("r", {SnapshotProbe("p"), SnapshotProbe("p")})),
              HasSubstr("declared twice"));
  RunRecord run = NewRun("r", {});
  run.labels["9"] = "x";
  EXPECT_THAT(refusal(run), HasSubstr("labels: key '9'"));
  run = NewRun("r", {});
  run.user = std::string(300, 'x');
  EXPECT_THAT(refusal(run), HasSubstr("user"));
  run = NewRun("r", {});
  run.signals.patience = -1;
  EXPECT_THAT(refusal(run), HasSubstr("patience"));
}

TEST_F(MonitorTest, ANewerSessionFencesTheOlderOne) {
  Create("run");
  Job old = Open("run", 5);
  Job newer = Open("run", 6);
  ASSERT_TRUE(old.listener->WaitUntil(Ended));
  EXPECT_TRUE(absl::IsAborted(*old.listener->told().end));
  EXPECT_TRUE(absl::IsAborted(old.Offer(Snapshot(1, "train/a", 1)).rejection.status));
  newer.MustOffer(Snapshot(1, "train/a", 1));
  const auto refused = monitor_->OpenSession("run", 5, old.listener);
  EXPECT_TRUE(absl::IsAborted(refused.status()));
  EXPECT_TRUE(absl::IsInvalidArgument(monitor_->OpenSession("run", 0, old.listener).status()));
  EXPECT_TRUE(absl::IsNotFound(monitor_->OpenSession("none", 1, old.listener).status()));
  EXPECT_FALSE(old.listener->told().told_after_end);
}

TEST_F(MonitorTest, ReconnectingWithTheSameEpochResumesBehindWhatIsHeld) {
  Create("run");
  {
    Job job = Open("run", 5);
    job.MustOffer(Snapshot(7, "train/a", 10));
  }
  Job again = Open("run", 5);
  EXPECT_EQ(again.start.resume_seq, 7);
  again.MustOffer(Snapshot(7, "train/a", 10));
  again.MustOffer(Snapshot(8, "train/a", 20));
  ASSERT_TRUE(again.listener->WaitUntil([](const Told& t) { return t.durable_seq == 8; }));
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_THAT(store_->ReadEstimates("run", {}).value(), SizeIs(2));
}

TEST_F(MonitorTest, AFullQueueMakesTheSessionWaitUntilThereIsRoom) {
  options_.max_queued_bytes_per_run = 20'000;
  Start(1);
  Create("run");
  std::promise<void> gate;
  pool_->Submit([opened = gate.get_future().share()] { opened.wait(); });
  Job job = Open("run");
  Flow flow = Flow::kContinue;
  std::int64_t seq = 0;
  while (flow == Flow::kContinue) {
    ++seq;
    flow = job.Offer(Snapshot(seq, "train/a", seq)).flow;
    ASSERT_LT(seq, 1000);
  }
  EXPECT_GT(seq, 10);
  EXPECT_GT(monitor_->Snapshot().stats.queued_bytes, 20'000);
  EXPECT_EQ(monitor_->Snapshot().stats.estimate_backlog, seq + 1);  // and the session's epoch
  EXPECT_EQ(job.listener->told().rooms, 0);
  gate.set_value();
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.rooms == 1; }));
  EXPECT_EQ(job.Offer(Snapshot(seq + 1, "train/a", seq + 1)).flow, Flow::kContinue);
  ASSERT_TRUE(job.listener->WaitForEstimates(static_cast<std::size_t>(seq + 1)));
  EXPECT_EQ(job.listener->told().rooms, 1);
}

TEST_F(MonitorTest, LayersThatAreEstimatedTogetherAreToldInTheOrderOfArrival) {
  std::vector<ProbeSettings> probes;
  for (int i = 0; i < 7; ++i) probes.push_back(SnapshotProbe("train/layer." + std::to_string(i)));
  const auto send = [&](const std::string& run) {
    Create(run, probes);
    Job job = Open(run);
    for (std::int64_t seq = 1; seq <= 14; ++seq) {
      const std::string& probe = probes[static_cast<std::size_t>((seq * 3) % 7)].identity.name;
      job.MustOffer(Snapshot(seq, probe, (seq - 1) / 7, 30, 3, static_cast<unsigned>(seq)));
    }
    return job;
  };
  Start(3);
  std::promise<void> gate;
  const auto opened = gate.get_future().share();
  for (int i = 0; i < 3; ++i) pool_->Submit([opened] { opened.wait(); });
  Job together = send("together");
  gate.set_value();
  ASSERT_TRUE(together.listener->WaitForEstimates(14));
  const auto told = together.listener->told().estimates;
  for (std::size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].probe, probes[(i + 1) * 3 % 7].identity.name);
  }
  EXPECT_EQ(monitor_->Snapshot().stats.queued_bytes, 0);
  EXPECT_EQ(monitor_->Snapshot().stats.estimate_backlog, 0);
  Start(1);
  ASSERT_TRUE(send("alone").listener->WaitForEstimates(14));
  EXPECT_EQ(History("together"), History("alone"));
}

TEST_F(MonitorTest, FinishingWaitsForWhatIsQueuedAndEndsTheSession) {
  Create("run");
  Job job = Open("run");
  for (std::int64_t i = 1; i <= 10; ++i) job.MustOffer(Snapshot(i, "train/a", i));
  job.MustOffer(Samples(11, "train/a", 11));
  const auto view = Finish("run");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ((*view)->run.state, RunState::kFinished);
  EXPECT_THAT(store_->ReadEstimates("run", {}).value(), SizeIs(11));
  ASSERT_TRUE(job.listener->WaitUntil(Ended));
  EXPECT_TRUE(absl::IsFailedPrecondition(*job.listener->told().end));
  EXPECT_THAT(job.listener->told().estimates, SizeIs(11));
  EXPECT_FALSE(job.Offer(Snapshot(12, "train/a", 12)).rejection.status.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(monitor_->OpenSession("run", 9, job.listener).status()));
  EXPECT_TRUE(Finish("run").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Finish("run", /*failed=*/true).status()));
  EXPECT_TRUE(absl::IsNotFound(Finish("none").status()));
}

TEST_F(MonitorTest, ASilentRunBecomesStaleAndRunsAgainWhenItSpeaks) {
  Create("run");
  Job job = Open("run");
  clock_.Advance(absl::Seconds(599));
  monitor_->Tick();
  EXPECT_EQ(View("run")->run.state, RunState::kRunning);
  clock_.Advance(absl::Seconds(2));
  monitor_->Tick();
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.signals.size() == 1; }));
  EXPECT_EQ(View("run")->run.state, RunState::kStale);
  EXPECT_THAT(View("run")->signals, SizeIs(1));
  job.MustOffer(Scalars(1, 1, {{"a", 1}}));
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.signals.size() == 2; }));
  EXPECT_EQ(View("run")->run.state, RunState::kRunning);
  EXPECT_EQ(View("run")->decision.verdict, Verdict::kContinue);
}

TEST_F(MonitorTest, ADeletedRunIsGoneAndItsNameMayBeUsedAgain) {
  Create("a/run");
  Job job = Open("a/run");
  job.MustOffer(Snapshot(1, "train/a", 10));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  std::promise<void> notified;
  const auto subscription = monitor_->Subscribe("a/run", [&notified] { notified.set_value(); });
  ASSERT_TRUE(monitor_->DeleteRun("a/run").ok());
  EXPECT_EQ(notified.get_future().wait_for(testing::kDeadline), std::future_status::ready);
  ASSERT_TRUE(job.listener->WaitUntil(Ended));
  EXPECT_TRUE(absl::IsNotFound(*job.listener->told().end));
  EXPECT_TRUE(absl::IsNotFound(monitor_->GetRun("a/run").status()));
  EXPECT_TRUE(absl::IsNotFound(monitor_->DeleteRun("a/run")));
  EXPECT_FALSE(std::filesystem::exists(LogFolder(options_.log_folder, "a/run")));
  EXPECT_FALSE(std::filesystem::exists(DeletedLogFolder(options_.log_folder, "a/run")));
  Create("a/run");
  EXPECT_EQ(Open("a/run").start.resume_seq, 0);
}

TEST_F(MonitorTest, EndedRunsAreDeletedOnceTheyAreOlderThanTheirProjectsRetention) {
  Create("running");
  for (const std::string run_id : {"first", "second", "kept"}) {
    RunRecord run = NewRun(run_id, {SnapshotProbe("train/a")});
    run.project = run_id == "kept" ? "archive" : "tests";
    ASSERT_TRUE(monitor_->CreateRun(run).ok());
    clock_.Advance(absl::Hours(24));
    ASSERT_TRUE(Finish(run_id).ok());
  }
  clock_.Advance(absl::Hours(24 * 1000));
  EXPECT_THAT(monitor_->Tick(), IsEmpty()) << "nothing was said of retention";
  Start();
  monitor_->SetRetention(
      {absl::Hours(24 * 1001) + absl::Minutes(1), {{"archive", absl::InfiniteDuration()}}});
  const auto deleted = monitor_->Tick();
  ASSERT_THAT(deleted, SizeIs(1));
  EXPECT_EQ(deleted[0]->run.run_id, "first");
  EXPECT_TRUE(absl::IsNotFound(monitor_->GetRun("first").status()));
  clock_.Advance(absl::Hours(48));
  ASSERT_THAT(monitor_->Tick(), SizeIs(1));
  EXPECT_EQ(monitor_->Snapshot().stats.expired_runs, 2);
  EXPECT_THAT(monitor_->ListRuns({}), SizeIs(2)) << "running and kept";
  Start();
  EXPECT_THAT(monitor_->ListRuns({}), SizeIs(2));
}

TEST_F(MonitorTest, NewParametersJudgeAgainAndNewLabelsAreKept) {
  Create("run");
  Job job = Open("run");
  for (std::int64_t i = 1; i <= 5; ++i) job.MustOffer(Snapshot(i, "train/a", i, 60));
  ASSERT_TRUE(job.listener->WaitForEstimates(5));
  EXPECT_EQ(View("run")->decision.verdict, Verdict::kContinue);
  RunUpdate update;
  update.signals = View("run")->run.signals;
  update.signals->collapse_lid = 100;
  update.labels.emplace()["team"] = "red";
  update.author = "somebody";
  const SignalSettings before = View("run")->run.signals;
  const auto view = monitor_->UpdateRun("run", update);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ((*view)->decision.verdict, Verdict::kStop);
  EXPECT_EQ((*view)->run.labels.at("team"), "red");
  const auto changes = store_->ReadSettings("run", 0, 10).value();
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].author, "somebody");
  EXPECT_EQ(changes[0].step, Step{5});
  EXPECT_EQ(changes[0].old_signals, before);
  EXPECT_EQ(changes[0].new_signals, *update.signals);
  EXPECT_EQ(changes[0].new_policy, changes[0].old_policy);
  ASSERT_TRUE(monitor_->UpdateRun("run", update).ok());
  EXPECT_THAT(store_->ReadSettings("run", 0, 10).value(), SizeIs(1)) << "nothing changed";
  RunUpdate wrong = update;
  wrong.signals->patience = -3;
  EXPECT_TRUE(absl::IsInvalidArgument(monitor_->UpdateRun("run", wrong).status()));
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(monitor_->UpdateRun("run", update).status()));
  RunUpdate rename;
  rename.display_name = "new name";
  ASSERT_TRUE(monitor_->UpdateRun("run", rename).ok());
  EXPECT_EQ(View("run")->run.display_name, "new name");
  EXPECT_EQ(View("run")->run.state, RunState::kFinished);
}

TEST_F(MonitorTest, RunsAreListedNewestFirstByProjectStateAndLabel) {
  Create("first");
  clock_.Advance(absl::Seconds(1));
  RunRecord second = NewRun("second", {});
  second.labels["team"] = "red";
  ASSERT_TRUE(monitor_->CreateRun(second).ok());
  const auto ids = [&](const RunFilter& filter) {
    std::string all;
    for (const auto& view : monitor_->ListRuns(filter)) all += view->run.run_id + " ";
    return all;
  };
  EXPECT_EQ(ids({}), "second first ");
  EXPECT_EQ(ids({.project = "none", .states = {}, .labels = {}}), "");
  RunFilter red;
  red.project = "tests";
  red.labels["team"] = "red";
  EXPECT_EQ(ids(red), "second ");
  ASSERT_TRUE(Finish("first", /*failed=*/true).ok());
  EXPECT_EQ(ids({.project = "", .states = {RunState::kFailed}, .labels = {}}), "first ");
}

TEST_F(MonitorTest, AnEndedRunLingersInSnapshotsForAWhile) {
  options_.linger = absl::Minutes(10);
  Start();
  Create("run");
  EXPECT_EQ(monitor_->Snapshot().stats.active_runs, 1);
  EXPECT_EQ(monitor_->Snapshot().stats.active_probes, 1);
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_EQ(monitor_->Snapshot().stats.active_runs, 0);
  clock_.Advance(absl::Minutes(9));
  EXPECT_THAT(monitor_->Snapshot().runs, SizeIs(1));
  clock_.Advance(absl::Minutes(2));
  EXPECT_THAT(monitor_->Snapshot().runs, IsEmpty());
  EXPECT_THAT(monitor_->ListRuns({}), SizeIs(1));
}

TEST_F(MonitorTest, NoMoreRunsThanAllowed) {
  options_.max_runs = 1;
  Start();
  Create("one");
  const absl::Status full = monitor_->CreateRun(NewRun("two", {})).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_THAT(std::string(full.message()), HasSubstr("max_runs: the server holds 1 runs"));
  ASSERT_TRUE(Finish("one").ok());
  Create("two");
}

TEST_F(MonitorTest, WhatIsRejectedIsCountedByReasonAndLosesNothingElse) {
  Create("run");
  Job job = Open("run");
  job.MustOffer(Samples(1, "train/a", 10, 30, 3));
  const auto wrong = job.Offer(Samples(2, "train/a", 10, 30, 4));
  EXPECT_THAT(std::string(wrong.rejection.status.message()),
              HasSubstr("dimension 3 expected, got 4"));
  EXPECT_EQ(wrong.rejection.field, "dim");
  job.Offer(Samples(3, "nothing", 10, 5));
  SampleItem nan = Snapshot(4, "train/a", 10, 2, 3);
  nan.data.assign(nan.data.size(), '\xff');
  job.MustOffer(nan);
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  EXPECT_EQ(job.listener->told().estimates[0].estimate.points, 30);
  const MonitorStats stats = monitor_->Snapshot().stats;
  EXPECT_EQ(stats.rejected_rows.at("invalid_argument"), 30);
  EXPECT_EQ(stats.rejected_rows.at("not_found"), 5);
  EXPECT_EQ(stats.rejected_rows.at("nonfinite"), 2);
  EXPECT_EQ(stats.rows, 32);
  EXPECT_EQ(stats.batches, 2);
}

TEST_F(MonitorTest, WhileTheStoreFailsNothingIsToldAndNothingIsLost) {
  Create("run");
  Job job = Open("run");
  job.MustOffer(Snapshot(1, "train/a", 10));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  store_->fails = true;
  job.MustOffer(Snapshot(2, "train/a", 20));
  job.MustOffer(Snapshot(3, "train/a", 30));
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.durable_seq == 3; }));
  EXPECT_FALSE(Finish("run").ok());
  EXPECT_GT(monitor_->Snapshot().stats.store_errors, 0);
  EXPECT_THAT(job.listener->told().estimates, SizeIs(1));
  EXPECT_EQ(View("run")->latest_estimates[0].step, Step{10});
  store_->fails = false;
  monitor_->Tick();
  ASSERT_TRUE(job.listener->WaitForEstimates(3));
  job.MustOffer(Snapshot(4, "train/a", 40));
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_THAT(store_->ReadEstimates("run", {}).value(), SizeIs(4));
}

TEST_F(MonitorTest, ASampleThatTheDiskDoesNotTakeIsNotRejectedButWantedAgain) {
  Create("run");
  Job job = Open("run");
  job.MustOffer(Snapshot(1, "train/a", 10));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit full = {1, limit.rlim_max};  // bytes that a file may have
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status status = job.Offer(Snapshot(2, "train/a", 20)).rejection.status;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("File too large"));
  EXPECT_GT(monitor_->Snapshot().stats.store_errors, 0);
  EXPECT_THAT(monitor_->Snapshot().stats.rejected_rows, IsEmpty());
  job.MustOffer(Snapshot(2, "train/a", 20));
  EXPECT_TRUE(job.listener->WaitForEstimates(2));
}

TEST_F(MonitorTest, SubscribersAreNotifiedAfterCommitsUntilTheyLetGo) {
  Create("run");
  std::atomic<int> count{0};
  std::promise<void> first;
  auto subscription = monitor_->Subscribe("run", [&] {
    if (++count == 1) first.set_value();
  });
  ASSERT_TRUE(subscription.ok());
  Job job = Open("run");
  ASSERT_EQ(first.get_future().wait_for(testing::kDeadline), std::future_status::ready);
  subscription->reset();
  const int before = count;
  job.MustOffer(Snapshot(1, "train/a", 10));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_EQ(count, before);
  EXPECT_TRUE(absl::IsNotFound(monitor_->Subscribe("none", [] {}).status()));
}

}  // namespace
}  // namespace dimwatch
