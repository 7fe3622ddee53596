// What has no room, what has to wait, and what is averaged over fewer points.
#include <future>

#include "src/base/quota_error.h"
#include "tests/monitor/monitor_fixture.h"

namespace dimwatch {
namespace {

using Flow = IngestSession::Flow;
using Told = testing::RecordingListener::Told;
using testing::Declaration;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewRun;
using testing::Samples;
using testing::Snapshot;
using testing::SnapshotProbe;

constexpr std::int64_t kRows = 600;  // more than the fewest that overload leaves
constexpr std::int64_t kDim = 3;
constexpr double kCompute = 1.0 * kRows * kRows * kDim;  // of one snapshot

class LimitsTest : public testing::MonitorFixture {
 protected:
  static constexpr const char* kProbe = "train/a";

  void SetQuota(const Quota& quota) {
    monitor_->SetQuotas({.by_default = {}, .of_project = {{project_, quota}}});
  }
  std::int64_t DiskBytes() {
    return monitor_->Snapshot().projects.at(project_).used[static_cast<std::size_t>(
        Resource::kDiskBytes)];
  }
  absl::Status TryToCreate(const std::string& run_id, const std::string& project, int probes = 1) {
    RunRecord run = NewRun(run_id, {});
    run.project = project;
    for (int i = 0; i < probes; ++i) {
      run.probes.push_back(SnapshotProbe("train/" + std::to_string(i)));
    }
    return monitor_->CreateRun(run).status();
  }
  static SampleItem Large(std::int64_t seq) {
    return Snapshot(seq, kProbe, seq, kRows, kDim, static_cast<unsigned>(seq));
  }
  // One thread, which works when Open is called.
  void StartHeldUp() {
    Start(1);
    gate_ = {};
    pool_->Submit([opened = gate_.get_future().share()] { opened.wait(); });
  }

  const std::string project_ = NewRun("run", {}).project;
  std::promise<void> gate_;
};

void ExpectQuota(const absl::Status& status, const std::string& quota) {
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(QuotaOf(status), quota) << status;
  EXPECT_TRUE(RetryOf(status)) << status;
}

TEST_F(LimitsTest, AProjectHasNoMoreRunsThanItMay) {
  SetQuota({.max_runs = 2});
  ASSERT_TRUE(TryToCreate("a", project_).ok());
  ASSERT_TRUE(TryToCreate("b", project_).ok());
  const absl::Status refused = TryToCreate("c", project_);
  ExpectQuota(refused, "max_runs");
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("has 2 runs that have not ended; allowed are 2"));
  EXPECT_TRUE(TryToCreate("a", project_).ok()) << "it is there";
  EXPECT_TRUE(TryToCreate("c", "another").ok());
  ASSERT_TRUE(Finish("a").ok());
  EXPECT_TRUE(TryToCreate("d", project_).ok());
  ASSERT_TRUE(monitor_->DeleteRun("b").ok());
  EXPECT_TRUE(TryToCreate("e", project_).ok());
  ExpectQuota(TryToCreate("f", project_), "max_runs");
  const MonitorSnapshot snapshot = monitor_->Snapshot();
  EXPECT_EQ(snapshot.projects.at(project_).refusals.at("max_runs"), 2);
  EXPECT_EQ(snapshot.projects.at(project_).used[0], 2);
}

TEST_F(LimitsTest, AProjectHasNoMoreProbesThanItMay) {
  SetQuota({.max_probes = 4});
  ASSERT_TRUE(TryToCreate("a", project_, 2).ok());
  ExpectQuota(TryToCreate("b", project_, 3), "max_probes");
  ASSERT_TRUE(TryToCreate("b", project_, 1).ok());
  Job job = Open("b");
  job.MustOffer(Declaration(1, SnapshotProbe("train/more")));
  ExpectQuota(job.Offer(Declaration(2, SnapshotProbe("train/most"))).rejection.status,
              "max_probes");
  job.MustOffer(Declaration(3, SnapshotProbe("train/more")));
  ASSERT_TRUE(Finish("a").ok());
  job.MustOffer(Declaration(4, SnapshotProbe("train/most")));
}

TEST_F(LimitsTest, BeyondItsDiskAProjectWritesNothing) {
  Create("run");
  Job job = Open("run");
  job.MustOffer(Snapshot(1, kProbe, 1));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  SetQuota({.max_disk_bytes = 1});
  ExpectQuota(job.Offer(testing::Scalars(2, 1, {{"loss", 1}})).rejection.status, "max_disk_bytes");
  ExpectQuota(TryToCreate("more", project_), "max_disk_bytes");
  ASSERT_TRUE(Finish("run").ok());
  EXPECT_GT(DiskBytes(), 0) << "its records";
  ASSERT_TRUE(monitor_->DeleteRun("run").ok());
  EXPECT_EQ(DiskBytes(), 0);
  EXPECT_TRUE(TryToCreate("more", project_).ok());
}

TEST_F(LimitsTest, DiskIsCountedOnAfterARestart) {
  Create("run");
  Job job = Open("run");
  for (std::int64_t seq = 1; seq <= 5; ++seq) job.MustOffer(Snapshot(seq, kProbe, seq));
  ASSERT_TRUE(Finish("run").ok());
  const std::int64_t before = DiskBytes();
  Start();
  EXPECT_EQ(DiskBytes(), before);
}

TEST_F(LimitsTest, AStepOfWhichABatchWasRefusedIsIncomplete) {
  Create("run");
  {
    Job job = Open("run");
    job.MustOffer(Samples(1, kProbe, 1));
    SetQuota({.max_disk_bytes = 1});
    ExpectQuota(job.Offer(Snapshot(2, kProbe, 1)).rejection.status, "max_disk_bytes");
    SetQuota({});
    job.MustOffer(Snapshot(3, kProbe, 2));
    ASSERT_TRUE(job.listener->WaitForEstimates(2));
    const auto estimates = job.listener->told().estimates;
    EXPECT_EQ(estimates[0].incomplete_reason, "30 rows were dropped by the client, or refused");
    EXPECT_EQ(estimates[0].estimate.points, 30);
    EXPECT_TRUE(estimates[1].complete);
    EXPECT_EQ(monitor_->Snapshot().stats.rejected_rows.at("resource_exhausted"), 30);
  }
  EXPECT_EQ(Open("run").start.resume_seq, 3);
}

TEST_F(LimitsTest, EveryRefusedRowOfAStepIsCounted) {
  Create("run");
  Job job = Open("run");
  job.MustOffer(Samples(1, kProbe, 1));
  SetQuota({.max_disk_bytes = 1});
  job.Offer(Samples(2, kProbe, 1));
  job.Offer(Samples(3, kProbe, 1));
  job.Offer(Snapshot(4, kProbe, 1));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  EXPECT_EQ(job.listener->told().estimates[0].incomplete_reason,
            "90 rows were dropped by the client, or refused");
}

TEST_F(LimitsTest, AStepWhoseFirstBatchesWereRefusedIsIncomplete) {
  Create("run", {SnapshotProbe(kProbe), testing::RollingProbe("train/rolling")});
  Job job = Open("run");
  SetQuota({.max_disk_bytes = 1});
  job.Offer(Samples(1, kProbe, 1));
  job.Offer(Samples(2, kProbe, 1));
  job.Offer(Samples(3, "train/rolling", 1, 20));
  job.Offer(Samples(4, "train/rolling", 2, 20));
  SetQuota({});
  job.MustOffer(Snapshot(5, kProbe, 1));
  job.MustOffer(Snapshot(6, kProbe, 2));
  job.MustOffer(Samples(7, "train/rolling", 3, 50));
  ASSERT_TRUE(job.listener->WaitForEstimates(3));
  const auto estimates = job.listener->told().estimates;
  EXPECT_EQ(estimates[0].incomplete_reason, "60 rows were dropped by the client, or refused");
  EXPECT_TRUE(estimates[1].complete);
  EXPECT_EQ(estimates[2].incomplete_reason, "40 rows were dropped by the client, or refused");
}

TEST_F(LimitsTest, RefusalsTakeNoRoom) {
  Create("run");
  Job job = Open("run");
  job.MustOffer(Samples(1, kProbe, 1));
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.durable_seq == 1; }));
  SetQuota({.max_disk_bytes = 1});
  const auto disk = [this] { return DiskBytes(); };
  job.Offer(Samples(2, kProbe, 1));
  const std::int64_t marked = disk();
  for (std::int64_t seq = 3; seq <= 50; ++seq) job.Offer(Samples(seq, kProbe, seq / 10 + 1));
  EXPECT_EQ(disk(), marked);
  EXPECT_THAT(job.listener->told().estimates, IsEmpty());
  EXPECT_EQ(monitor_->Snapshot().stats.rejected_rows.at("resource_exhausted"), 49 * 30);
}

TEST_F(LimitsTest, AProjectWithoutRunsIsForgotten) {
  SetQuota({.max_probes = 1});
  ExpectQuota(TryToCreate("a", project_, 2), "max_probes");
  ASSERT_TRUE(TryToCreate("b", "another").ok());
  monitor_->Tick();
  EXPECT_EQ(monitor_->Snapshot().projects.size(), 2);
  clock_.Advance(options_.linger + absl::Seconds(1));
  monitor_->Tick();
  const auto projects = monitor_->Snapshot().projects;
  ASSERT_EQ(projects.size(), 1);
  EXPECT_EQ(projects.begin()->first, "another");
}

TEST_F(LimitsTest, BeyondTheHardMemoryLimitBatchesAreRefused) {
  options_.hard_memory_bytes = 40'000;
  options_.soft_memory_bytes = 30'000;
  Start();
  Create("run");
  Job job = Open("run");
  job.MustOffer(Samples(1, kProbe, 1, kRows, kDim));
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.durable_seq == 1; }));
  const absl::Status refused = job.Offer(Samples(2, kProbe, 1, 5 * kRows, kDim)).rejection.status;
  ExpectQuota(refused, "max_memory_bytes");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("allowed are 40000"));
  job.MustOffer(Samples(3, kProbe, 2));
  ASSERT_TRUE(job.listener->WaitForEstimates(1));
  EXPECT_FALSE(job.listener->told().estimates[0].complete);
}

TEST_F(LimitsTest, BeyondTheSoftMemoryLimitOneItemAtATimeGoesOn) {
  options_.soft_memory_bytes = 1;
  StartHeldUp();
  Create("run");
  Job job = Open("run");
  EXPECT_EQ(job.Offer(Snapshot(1, kProbe, 1)).flow, Flow::kWait);
  gate_.set_value();
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.rooms == 1; }));
  EXPECT_EQ(monitor_->Snapshot().stats.queued_bytes, 0);
}

TEST_F(LimitsTest, AQueueThatFillsLeavesEstimatesFewerQueriesAndSaysSo) {
  options_.max_queued_bytes_per_run = 60'000;
  StartHeldUp();
  Create("run");
  Job job = Open("run");
  std::int64_t seq = 0;
  while (job.Offer(Large(++seq)).flow == Flow::kContinue) ASSERT_LT(seq, 100);
  gate_.set_value();
  const auto count = static_cast<std::size_t>(seq);
  ASSERT_TRUE(job.listener->WaitForEstimates(count));
  const auto estimates = job.listener->told().estimates;
  EXPECT_THAT(estimates.front().subsampled_reason, IsEmpty());
  EXPECT_EQ(estimates.front().estimate.queries, kRows);
  EXPECT_EQ(estimates.back().estimate.queries, 256);
  EXPECT_EQ(estimates.back().estimate.points, kRows);
  EXPECT_EQ(estimates.back().estimate.settings.queries, 256);
  EXPECT_EQ(estimates.back().subsampled_reason,
            "overload: 256 of 600 points averaged over, as the run's queue was more than half full "
            "(max_queue_bytes)");
  EXPECT_TRUE(estimates.back().complete);
  EXPECT_GT(*estimates.back().estimate.standard_error, *estimates.front().estimate.standard_error);
  const std::int64_t subsampled = monitor_->Snapshot().stats.subsampled_estimates;
  EXPECT_GT(subsampled, 0);
  EXPECT_LT(subsampled, seq);
}

TEST_F(LimitsTest, WhatOverloadLeftIsTheSameAfterARestart) {
  options_.max_queued_bytes_per_run = 60'000;
  const auto offer_all = [this](const std::string& run) {
    Create(run);
    Job job = Open(run);
    for (std::int64_t seq = 1; seq <= 7; ++seq) job.MustOffer(Large(seq));
    return job;
  };
  StartHeldUp();
  Job undisturbed = offer_all("undisturbed");
  gate_.set_value();
  ASSERT_TRUE(undisturbed.listener->WaitForEstimates(7));
  StartHeldUp();
  {
    Job job = offer_all("restarted");
    std::thread opener([this] { gate_.set_value(); });
    Stop();
    opener.join();
  }
  Start(3);
  ASSERT_TRUE(Finish("restarted").ok());
  ASSERT_TRUE(Finish("undisturbed").ok());
  const auto estimates = store_->ReadEstimates("restarted", {}).value();
  EXPECT_FALSE(estimates.back().subsampled_reason.empty());
  EXPECT_EQ(History("restarted"), History("undisturbed"));
}

TEST_F(LimitsTest, BeyondItsComputeAProjectGetsFewerQueriesAndThenWaits) {
  SetQuota({.compute_per_minute = 1.5 * kCompute});
  Create("run");
  Job job = Open("run");
  std::vector<std::int64_t> queries;
  std::int64_t seq = 0;
  Flow flow = Flow::kContinue;
  while (flow == Flow::kContinue) {
    flow = job.Offer(Large(++seq)).flow;
    ASSERT_LT(seq, 20);
  }
  ASSERT_TRUE(job.listener->WaitForEstimates(static_cast<std::size_t>(seq)));
  for (const EstimateRecord& record : job.listener->told().estimates) {
    queries.push_back(record.estimate.queries);
  }
  EXPECT_EQ(queries, std::vector<std::int64_t>({600, 300, 256, 256, 256, 256}));
  EXPECT_THAT(job.listener->told().estimates.back().subsampled_reason,
              HasSubstr("compute_per_minute"));
  monitor_->Tick();
  EXPECT_EQ(job.listener->told().rooms, 0);
  clock_.Advance(absl::Minutes(3));
  monitor_->Tick();
  ASSERT_TRUE(job.listener->WaitUntil([](const Told& told) { return told.rooms == 1; }));
  job.MustOffer(Large(++seq));
  ASSERT_TRUE(job.listener->WaitForEstimates(static_cast<std::size_t>(seq)));
  EXPECT_EQ(job.listener->told().estimates.back().estimate.queries, kRows);
}

TEST_F(LimitsTest, BeyondItsQueueAllJobsOfAProjectWait) {
  StartHeldUp();
  SetQuota({.max_queue_bytes = 10'000});
  Create("greedy");
  Create("other");
  Job greedy = Open("greedy");
  Job other = Open("other");
  std::int64_t seq = 0;
  Flow flow = Flow::kContinue;
  while (flow == Flow::kContinue) {
    ++seq;
    flow = greedy.Offer(Snapshot(seq, kProbe, seq)).flow;
    ASSERT_LT(seq, 100);
  }
  EXPECT_EQ(other.Offer(Snapshot(1, kProbe, 1)).flow, Flow::kWait);
  gate_.set_value();
  ASSERT_TRUE(greedy.listener->WaitForEstimates(static_cast<std::size_t>(seq)));
  ASSERT_TRUE(other.listener->WaitForEstimates(1));
  monitor_->Tick();
  ASSERT_TRUE(other.listener->WaitUntil([](const Told& told) { return told.rooms == 1; }));
}

}  // namespace
}  // namespace dimwatch
