// What it costs to keep things: latency of a commit, throughput of the sample log, reads of a long
// history. On a disk shared with nothing else the figures are those of the file system's cache: no
// commit waits for the disk (see sqlite_store.h).
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>

#include "src/store/sample_log.h"
#include "src/store/sqlite_store.h"
#include "tests/store/random_records.h"

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
      folder.path(), [](const IngestItem&) {}, &recovery);
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

}  // namespace
}  // namespace dimwatch
