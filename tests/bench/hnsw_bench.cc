// Our graphs against plain hnswlib. README.md says how to read it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <vector>

#include "src/knn/generations.h"
#include "src/knn/hnsw.h"
#include "src/knn/recall.h"
#include "tests/bench/plain_hnsw.h"
#include "tests/bench/work.h"
#include "tests/testing/drift.h"
#include "tests/testing/shapes.h"

namespace dimwatch::bench {
namespace {

constexpr std::size_t kNeighbors = 128;

using Plain = NeighborLists (*)(PointCloudView, std::size_t, const PlainSettings&, ThreadPool&);

// Settings of hnswlib's own documentation, and those that our engine uses for one graph.
constexpr PlainSettings kDocumented = {};
constexpr PlainSettings kSame = {
    .links = 16, .build_breadth = 100, .search_breadth = SearchBreadth(kNeighbors, 1)};

void AllNeighbors(benchmark::State& state, Plain plain, const PlainSettings& settings) {
  const auto points = static_cast<std::size_t>(state.range(0));
  const PointCloud cloud = testing::Embedded(testing::Gaussian(points, 15, 1),
                                             static_cast<std::size_t>(state.range(1)), 2);
  const CloudRows rows(cloud.view());
  std::vector<std::uint32_t> all(points);
  std::iota(all.begin(), all.end(), 0u);
  ThreadPool pool(1);  // and the caller's
  NeighborLists theirs, ours;
  Seconds theirs_seconds, ours_seconds;
  for ([[maybe_unused]] auto iteration : state) {
    theirs_seconds += Time([&] { theirs = plain(cloud.view(), kNeighbors, settings, pool); });
    const Seconds seconds =
        Time([&] { ours = HnswEngine(1).Search(rows, all, kNeighbors, kNeighbors, pool); });
    ours_seconds += seconds;
    state.SetIterationTime(seconds.wall);
  }
  state.counters["throughput_ratio"] = theirs_seconds.wall / ours_seconds.wall;
  state.counters["cpu_throughput_ratio"] = theirs_seconds.cpu / ours_seconds.cpu;
  state.counters["recall"] = MeasureRecall(rows, all, ours, 1, pool).ratio;
  state.counters["plain_recall"] = MeasureRecall(rows, all, theirs, 1, pool).ratio;
  state.counters["plain_seconds"] = theirs_seconds.wall / static_cast<double>(state.iterations());
}

#define DIMWATCH_COMPARE(name, plain, settings)          \
  BENCHMARK_CAPTURE(AllNeighbors, name, plain, settings) \
      ->Args({10'000, 128})                              \
      ->Args({10'000, 768})                              \
      ->UseManualTime()                                  \
      ->Iterations(1)                                    \
      ->Unit(benchmark::kSecond)

DIMWATCH_COMPARE(same_flags_same_settings, &PlainHnsw, kSame);
DIMWATCH_COMPARE(same_flags_documented_settings, &PlainHnsw, kDocumented);
DIMWATCH_COMPARE(native_same_settings, &PlainHnswNative, kSame);

// A rolling window over rows that drift, for twenty turnovers after the first: the recall of every
// one of them, and what a row costs to take in.
void Turnovers(benchmark::State& state) {
  constexpr std::size_t kWindow = 8000, kBatch = 250, kTurnovers = 20, kQueries = 200;
  const auto dim = static_cast<std::size_t>(state.range(0));
  testing::DriftingRows stream(dim, 15, kWindow, 1);
  ThreadPool pool(1);  // and the caller's
  Generations generations(dim, kWindow / 3, 1);
  std::deque<std::vector<float>> batches;
  std::int64_t newest = 0;
  double least = 1, sum = 0;
  Seconds adding;
  for ([[maybe_unused]] auto iteration : state) {
    for (std::size_t turnover = 0; turnover <= kTurnovers; ++turnover) {
      for (std::size_t batch = 0; batch < kWindow / kBatch; ++batch, ++newest) {
        batches.push_back(stream.Next(kBatch));
        if (batches.size() > kWindow / kBatch) batches.pop_front();
      }
      std::vector<Generations::Batch> held;
      std::vector<float> rows;
      for (const std::vector<float>& batch : batches) {
        const std::int64_t seq = newest - static_cast<std::int64_t>(batches.size() - held.size());
        held.push_back({.seq = seq, .segment = seq, .rows = batch});
        rows.insert(rows.end(), batch.begin(), batch.end());
      }
      adding += Time([&] { generations.Update(held, pool); });
      const CloudRows cloud(PointCloudView(rows, kWindow, dim));
      std::vector<std::uint32_t> queries;
      for (std::uint32_t q = 0; q < kWindow; q += kWindow / kQueries) queries.push_back(q);
      const NeighborLists lists = generations.IndexOf(cloud)->Search(queries, kNeighbors, 1, pool);
      const double recall = MeasureRecall(cloud, queries, lists, 1, pool).ratio;
      if (turnover == 0) continue;
      least = std::min(least, recall);
      sum += recall / kTurnovers;
    }
    state.SetIterationTime(adding.wall);
  }
  state.counters["least_recall"] = least;
  state.counters["mean_recall"] = sum;
  state.counters["cpu_ms_per_row"] = adding.cpu * 1e3 / (kWindow * (kTurnovers + 1));
}
BENCHMARK(Turnovers)->Arg(32)->Arg(256)->UseManualTime()->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
}  // namespace dimwatch::bench
