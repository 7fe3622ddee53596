// What a monitor makes of what another one left behind.
#include <fstream>

#include "src/monitor/monitor.h"
#include "src/monitor/stored_run.h"
#include "tests/monitor/monitor_fixture.h"
#include "tests/store/describe.h"

namespace dimwatch {
namespace {

using ::testing::HasSubstr;
using testing::Samples;
using testing::Scalars;
using ::testing::SizeIs;
using testing::Snapshot;
using testing::SnapshotProbe;
using MonitorRestartTest = testing::MonitorFixture;
using Told = testing::RecordingListener::Told;

TEST_F(MonitorRestartTest, ARestartInTheMiddleGivesTheSameSeriesWithAnyNumberOfThreads) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    const std::string whole = "whole" + std::to_string(seed);
    const std::string cut = "cut" + std::to_string(seed);
    Start(1);
    Create(whole, {});
    Create(cut, {});
    const std::vector<IngestItem> items = testing::RandomJob(seed, 90);
    {
      Job job = Open(whole);
      for (const IngestItem& item : items) job.MustOffer(item);
      ASSERT_TRUE(Finish(whole).ok());
    }
    std::optional<Job> job(Open(cut));
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i == 30 || i == 31 || i == 70) {
        job.reset();
        Start(i == 31 ? 1 : 4);
        job.emplace(Open(cut));
        ASSERT_EQ(job->start.resume_seq, SeqOf(items[i - 1]));
      }
      job->MustOffer(items[i]);
    }
    ASSERT_TRUE(Finish(cut).ok());
    ASSERT_EQ(History(cut), History(whole)) << "seed " << seed;
    job.reset();
  }
}

TEST_F(MonitorRestartTest, WhatWasQueuedWhenTheMonitorStoppedIsEstimatedByTheNext) {
  Create("run");
  store_->fails = true;
  {
    Job job = Open("run");
    for (std::int64_t i = 1; i <= 5; ++i) job.MustOffer(Snapshot(i, "train/a", i));
    monitor_->Drain();
    ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.end.has_value(); }));
    EXPECT_TRUE(absl::IsUnavailable(*job.listener->told().end));
    EXPECT_EQ(job.listener->told().durable_seq, 5);
    EXPECT_TRUE(absl::IsUnavailable(monitor_->OpenSession("run", 2, job.listener).status()));
  }
  Start();
  Job job = Open("run");
  EXPECT_EQ(job.start.resume_seq, 5);
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_THAT(store_->ReadEstimates("run", {}).value(), SizeIs(5));
}

TEST_F(MonitorRestartTest, AnEndedRunComesBackWithItsLastNumbersAndDecision) {
  Create("run");
  {
    Job job = Open("run");
    job.MustOffer(Scalars(1, 1, {{"train/loss", 3}, {"rare", 1}}));
    for (std::int64_t i = 2; i <= 9; ++i) {
      job.MustOffer(Snapshot(2 * i, "train/a", i, 60, 3, static_cast<unsigned>(i)));
      job.MustOffer(Scalars(2 * i + 1, i, {{"train/loss", 1.0 / static_cast<double>(i)}}));
    }
  }
  const auto before = Finish("run");
  ASSERT_TRUE(before.ok());
  Start();
  const auto after = View("run");
  EXPECT_EQ(after->run.state, RunState::kFinished);
  EXPECT_EQ(after->run.end_time, (*before)->run.end_time);
  ASSERT_THAT(after->latest_estimates, SizeIs(1));
  EXPECT_EQ(after->latest_estimates[0].step, Step{9});
  EXPECT_EQ(after->latest_estimates[0].estimate.mean, (*before)->latest_estimates[0].estimate.mean);
  EXPECT_EQ(after->signals, (*before)->signals);
  EXPECT_EQ(after->decision, (*before)->decision);
  EXPECT_THAT(after->latest_scalars, SizeIs(2));
  EXPECT_FALSE(std::filesystem::exists(LogFolder(options_.log_folder, "run")));
}

TEST_F(MonitorRestartTest, AFencedSessionStaysFenced) {
  Create("run");
  {
    Job job = Open("run", 50);
    job.MustOffer(Snapshot(1, "train/a", 1));
    ASSERT_TRUE(job.listener->WaitForEstimates(1));
  }
  Start();
  const auto listener = std::make_shared<testing::RecordingListener>();
  EXPECT_TRUE(absl::IsAborted(monitor_->OpenSession("run", 49, listener).status()));
  EXPECT_EQ(Open("run", 50).start.resume_seq, 1);
}

TEST_F(MonitorRestartTest, AStaleRunIsStillStaleAndSpeaksAgain) {
  Create("run");
  const auto signaled = [](const Told& told) { return told.signals.size() == 1; };
  {
    Job job = Open("run");
    clock_.Advance(absl::Hours(1));
    monitor_->Tick();
    ASSERT_TRUE(job.listener->WaitUntil(signaled));
  }
  ASSERT_EQ(View("run")->run.state, RunState::kStale);
  Start();
  EXPECT_EQ(View("run")->run.state, RunState::kStale);
  EXPECT_THAT(View("run")->signals, SizeIs(1));
  Job job = Open("run");
  const auto created = monitor_->CreateRun(testing::NewRun("run", {}));
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->view->run.state, RunState::kRunning);
  ASSERT_TRUE(job.listener->WaitUntil(signaled));
  EXPECT_EQ(View("run")->signals[0].state, SignalState::kResolved);
}

TEST_F(MonitorRestartTest, ADamagedRunIsSetAsideAndTheOthersGoOn) {
  Create("bad");
  Create("good");
  {
    Job bad = Open("bad");
    Job good = Open("good");
    for (std::int64_t i = 1; i <= 8; ++i) {
      bad.MustOffer(Samples(i, "train/a", 10));
      good.MustOffer(Samples(i, "train/a", 10));
    }
  }
  Stop();
  for (const auto& file :
       std::filesystem::directory_iterator(LogFolder(options_.log_folder, "bad"))) {
    std::fstream log(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    log.seekp(1000);
    log.write("damage", 6);
  }
  Start();
  EXPECT_THAT(View("bad")->run.damage, HasSubstr("the log was damaged behind item 2: "));
  EXPECT_EQ(monitor_->Snapshot().stats.damaged_runs, 1);
  Start();
  EXPECT_THAT(View("bad")->run.damage, HasSubstr("the log was damaged behind item 2: "));
  const auto listener = std::make_shared<testing::RecordingListener>();
  const absl::Status refused = monitor_->OpenSession("bad", 9, listener).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("set aside and is read-only"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Finish("bad").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(monitor_->UpdateRun("bad", {}).status()));
  EXPECT_THAT(monitor_->ListRuns({}), SizeIs(2));
  ASSERT_TRUE(Finish("good").ok());
  EXPECT_EQ(View("good")->latest_estimates[0].estimate.rows, 240);
  EXPECT_TRUE(monitor_->DeleteRun("bad").ok());
}

TEST_F(MonitorRestartTest, ATornLastRecordWasNeverAcknowledgedAndIsNoDamage) {
  Create("run");
  {
    Job job = Open("run");
    for (std::int64_t i = 1; i <= 3; ++i) job.MustOffer(Samples(i, "train/a", 10));
  }
  Stop();
  for (const auto& file :
       std::filesystem::directory_iterator(LogFolder(options_.log_folder, "run"))) {
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 10);
  }
  Start();
  EXPECT_EQ(View("run")->run.damage, "");
  EXPECT_GT(monitor_->Snapshot().stats.cut_log_bytes, 100) << "the rest of the record";
  Job job = Open("run");
  EXPECT_EQ(job.start.resume_seq, 2);
  job.MustOffer(Samples(3, "train/a", 10));
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_EQ(View("run")->latest_estimates[0].estimate.rows, 90);
}

TEST_F(MonitorRestartTest, ARunWhoseLogLostItsEndIsSetAside) {
  for (const std::string id : {"folder", "file"}) {
    Create(id);
    Job job = Open(id);
    for (std::int64_t i = 1; i <= 3; ++i) job.MustOffer(Snapshot(i, "train/a", i));
    ASSERT_TRUE(job.listener->WaitForEstimates(3));
  }
  Stop();
  std::filesystem::remove_all(LogFolder(options_.log_folder, "folder"));
  for (const auto& file :
       std::filesystem::directory_iterator(LogFolder(options_.log_folder, "file"))) {
    std::filesystem::remove(file.path());
  }
  Start();
  for (const std::string id : {"folder", "file"}) {
    EXPECT_EQ(View(id)->run.damage,
              "the log lost its end: it ends with item 0; the store reflects item 3");
    EXPECT_THAT(View(id)->latest_estimates, SizeIs(1)) << "and it is still served";
  }
}

TEST_F(MonitorRestartTest, ADeletionThatAKillInterruptedIsEndedOrUndone) {
  Create("deleted");
  Create("kept");
  Create("ended");
  for (const std::string id : {"deleted", "kept"}) {
    Open(id).MustOffer(Samples(1, "train/a", 10));
  }
  ASSERT_TRUE(Finish("ended").ok());
  Stop();
  const auto live = [&](const std::string& id) { return LogFolder(options_.log_folder, id); };
  for (const std::string id : {"deleted", "kept"}) {
    std::filesystem::rename(live(id), DeletedLogFolder(options_.log_folder, id));
  }
  std::filesystem::create_directory(live("ended"));
  ASSERT_TRUE((*SqliteStore::Open(folder_.path() / "store.db"))->DeleteRun("deleted").ok());
  Start();
  EXPECT_FALSE(std::filesystem::exists(DeletedLogFolder(options_.log_folder, "deleted")));
  EXPECT_FALSE(std::filesystem::exists(live("ended")));
  EXPECT_EQ(View("kept")->run.damage, "");
  EXPECT_EQ(Open("kept").start.resume_seq, 1);
}

TEST_F(MonitorRestartTest, DamageOfTheLogIsLeftAsItWasFound) {
  Create("run");
  {
    Job job = Open("run");
    for (std::int64_t i = 1; i <= 3; ++i) job.MustOffer(Samples(i, "train/a", 10));
  }
  Stop();
  const std::filesystem::path folder = LogFolder(options_.log_folder, "run");
  const std::filesystem::path file = std::filesystem::directory_iterator(folder)->path();
  // The length of the last record: as if it had been cut short.
  const auto record = (std::filesystem::file_size(file) - 32) / 3;
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(static_cast<std::streamoff>(32 + 2 * record))
      .put('\xff');
  const auto bytes = std::filesystem::file_size(file);
  Start();
  EXPECT_THAT(View("run")->run.damage, HasSubstr("the log was damaged behind item 2: "));
  EXPECT_EQ(std::filesystem::file_size(file), bytes);
}

TEST_F(MonitorRestartTest, AClockThatJumpsBackChangesNothingButTimes) {
  const std::vector<IngestItem> items = testing::RandomJob(7, 60);
  for (const std::string id : {"steady", "jumping"}) {
    Create(id, {});
    std::optional<Job> job(Open(id));
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (id == "jumping" && i % 20 == 10) {
        clock_.Jump(-absl::Hours(30));
        monitor_->Tick();
        if (i == 30) {
          job.reset();
          Start();
          job.emplace(Open(id));
        }
      }
      job->MustOffer(items[i]);
    }
    ASSERT_TRUE(Finish(id).ok());
  }
  const auto untimed = [&](const std::string& id) {
    std::vector<EventRecord> history = *ReadHistory(*store_, id);
    for (EventRecord& event : history) {
      std::visit(
          [](auto& record) {
            if constexpr (requires { record.create_time; }) record.create_time = absl::Time();
          },
          event);
    }
    return DescribeAll(history);
  };
  EXPECT_EQ(untimed("jumping"), untimed("steady"));
  EXPECT_EQ(View("jumping")->run.state, RunState::kFinished);
}

}  // namespace
}  // namespace dimwatch
