// An estimate against the matrix products in it. README.md says how to read it.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include "src/lid/cloud_estimate.h"
#include "tests/bench/work.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

void EstimateCloudBench(benchmark::State& state) {
  const auto points = static_cast<std::size_t>(state.range(0));
  const auto dim = static_cast<std::size_t>(state.range(1));
  const PointCloud cloud = testing::Embedded(testing::Gaussian(points, 20, 1), dim, 2);
  ThreadPool pool(1);  // and the caller's
  const testing::ManualClock clock;
  EstimatorSettings settings;
  settings.index = IndexKind::kExact;
  settings.max_points = state.range(0);
  openblas_set_num_threads(1);
  bench::Seconds products, estimates;
  for ([[maybe_unused]] auto iteration : state) {
    const bench::Seconds product = bench::Time([&] { bench::MultiplyAll(cloud.view(), pool); });
    const bench::Seconds estimate = bench::Time(
        [&] { benchmark::DoNotOptimize(EstimateCloud(cloud.view(), settings, pool, clock)); });
    products += product;
    estimates += estimate;
    state.SetIterationTime(estimate.wall);
  }
  state.counters["sgemm_seconds"] =
      benchmark::Counter(products.wall, benchmark::Counter::kAvgIterations);
  state.counters["ratio"] = estimates.wall / products.wall;
  state.counters["cpu_ratio"] = estimates.cpu / products.cpu;
}

BENCHMARK(EstimateCloudBench)
    ->Name("EstimateCloud")
    ->Args({10'000, 768})
    ->Args({20'000, 768})
    ->Args({10'000, 4096})
    ->UseManualTime()
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace dimwatch
