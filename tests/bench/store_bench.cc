// What it costs to keep things: latency of a commit, throughput of the sample log, reads of a long
// history. On a disk shared with nothing else the figures are those of the file system's cache: no
// commit waits for the disk (see sqlite_store.h).
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/monitor/item_group.h"
#include "src/monitor/run_pipeline.h"
#include "src/store/sample_log.h"
#include "src/store/sqlite_store.h"
#include "tests/bench/work.h"
#include "tests/monitor/job.h"
#include "tests/store/random_records.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

// One estimate and the run as it then stands.
void CommitOneEstimate(benchmark::State& state) {
  const TemporaryFolder folder;
  const auto store = SqliteStore::Open(folder.path() / "dimwatch.db");
  RandomRecords random(1);
  RunChanges changes;
  changes.run = random.Run("r");
  std::int64_t step = 0;
  for (auto _ : state) {
    ++step;
    changes.estimates = {random.Estimate(step, "train/last", Step{step})};
    if (!(*store)->Commit(changes).ok()) state.SkipWithError("commit failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(CommitOneEstimate)->Unit(benchmark::kMicrosecond);

// Batches of 4096 x 768 float16, trimmed as they are absorbed.
void AppendBatch(benchmark::State& state) {
  const TemporaryFolder folder;
  SampleLog::Recovery recovery;
  const auto log = SampleLog::Open(
      folder.path() / "log", [](const IngestItem&) {}, &recovery);
  SampleItem item = RandomRecords(1).Samples(1, 4096, 768);
  item.dtype = DType::kF16;
  item.data.resize(4096 * 768 * SizeOf(item.dtype));
  for (auto _ : state) {
    if (!(*log)->Append(item).ok()) state.SkipWithError("append failed");
    if (!(*log)->Trim(item.seq).ok()) state.SkipWithError("trim failed");
    ++item.seq;
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(item.data.size()));
}
BENCHMARK(AppendBatch)->Unit(benchmark::kMillisecond)->UseRealTime();

// The last page of a history of `range` scalars.
void ReadLastEvents(benchmark::State& state) {
  const TemporaryFolder folder;
  const auto store = SqliteStore::Open(folder.path() / "dimwatch.db");
  RunChanges changes;
  changes.run.run_id = "r";
  for (std::int64_t cursor = 1; cursor <= state.range(0); ++cursor) {
    changes.scalars.push_back({cursor, "loss", Step{cursor}, 0.5});
  }
  if (!(*store)->Commit(changes).ok()) state.SkipWithError("commit failed");
  for (auto _ : state) {
    const auto events = (*store)->ReadEvents("r", state.range(0) - 1000, 1000);
    benchmark::DoNotOptimize(events->size());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(ReadLastEvents)->Arg(10'000)->Arg(300'000)->Unit(benchmark::kMicrosecond);

// What becomes of a run's items, kept or not: the log, and the commits of what came of each group.
class Course {
 public:
  explicit Course(const ProbeSettings& probe, bool kept) {
    RunRecord run = testing::NewRun("r", {probe});
    pipeline_.emplace(run, pool_, clock_);
    if (!kept) return;
    store_ = *SqliteStore::Open(folder_.path() / "dimwatch.db");
    SampleLog::Recovery recovery;
    log_ = *SampleLog::Open(
        folder_.path() / "runs" / "log", [](const IngestItem&) {}, &recovery);
    good_ = store_->Commit({.run = run}).ok();
  }

  void Take(const std::vector<IngestItem>& items) {
    for (const IngestItem& item : items) good_ = good_ && (!log_ || log_->Append(item).ok());
    for (std::size_t i = 0; i < items.size();) {
      ItemGroup group(1);
      std::vector<const IngestItem*> together;
      for (; i < items.size() && group.Take(items[i]); ++i) together.push_back(&items[i]);
      const std::optional<RunChanges> changes = pipeline_->ApplyTogether(together);
      if (!store_ || !changes) continue;
      good_ =
          good_ && store_->Commit(*changes).ok() && log_->Trim(pipeline_->first_needed_seq()).ok();
    }
  }
  bool good() const { return good_; }

 private:
  const TemporaryFolder folder_;
  testing::ManualClock clock_;
  ThreadPool pool_{0};
  std::optional<RunPipeline> pipeline_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<SampleLog> log_;
  bool good_ = true;
};

// The rate at which items are taken with durability, over the rate without, in turns. Without gRPC,
// which both would share: so the ratio is lower than that of a server. `make`(seq) gives an item.
template <typename Make>
void Durable(benchmark::State& state, const ProbeSettings& probe, int items_at_a_time, Make make) {
  Course kept(probe, true);
  Course forgotten(probe, false);
  bench::Seconds with, without;
  std::int64_t seq = 0;
  for (auto _ : state) {
    std::vector<IngestItem> items;
    for (int i = 0; i < items_at_a_time; ++i) items.push_back(make(++seq));
    without += bench::Time([&] { forgotten.Take(items); });
    with += bench::Time([&] { kept.Take(items); });
  }
  if (!kept.good()) state.SkipWithError("the store failed");
  state.counters["ratio"] = without.wall / with.wall;
  state.counters["cpu_ratio"] = without.cpu / with.cpu;
  state.counters["items_per_second"] = static_cast<double>(seq) / with.wall;
}

// A full window of 10 000, estimated with 64 queries each time it was filled anew.
void DurableRollingWindow(benchmark::State& state) {
  ProbeSettings probe = testing::RollingProbe("p");
  probe.window_points = 10'000;
  probe.estimate_every = 10'000;
  probe.estimator.neighbors = 128;
  probe.estimator.queries = 64;
  const SampleItem batch = testing::Samples(1, "p", 1, 1024, 768);
  Durable(state, probe, 10, [&](std::int64_t seq) {
    SampleItem item = batch;
    item.seq = seq;
    item.step = Step{seq};
    return item;
  });
}
BENCHMARK(DurableRollingWindow)->Unit(benchmark::kMillisecond)->MinTime(2);

// Snapshots of 500 x 64, each estimated.
void DurableSnapshots(benchmark::State& state) {
  const SampleItem batch = testing::Snapshot(1, "p", 1, 500, 64);
  Durable(state, testing::SnapshotProbe("p"), 10, [&](std::int64_t seq) {
    SampleItem item = batch;
    item.seq = seq;
    item.step = Step{seq};
    return item;
  });
}
BENCHMARK(DurableSnapshots)->Unit(benchmark::kMillisecond)->MinTime(2);

// Batches of one scalar, as many waiting as one commit takes.
void DurableScalars(benchmark::State& state) {
  Durable(state, testing::SnapshotProbe("p"), ItemGroup::kMostScalars, [](std::int64_t seq) {
    return testing::Scalars(seq, seq, {{"loss", 1.0 / static_cast<double>(seq)}});
  });
}
BENCHMARK(DurableScalars)->Unit(benchmark::kMillisecond)->MinTime(2);

}  // namespace
}  // namespace dimwatch
