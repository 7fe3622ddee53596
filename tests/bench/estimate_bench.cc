// An estimate against the matrix products in it. README.md says how to read it.
#include <benchmark/benchmark.h>

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
  bench::ProductRatios ratios;
  for ([[maybe_unused]] auto iteration : state) {
    ratios.TimeProducts([&](auto multiply) { bench::MultiplyAll(cloud.view(), pool, multiply); });
    const bench::Seconds estimate = bench::Time(
        [&] { benchmark::DoNotOptimize(EstimateCloud(cloud.view(), settings, pool, clock)); });
    ratios.Add(estimate);
    state.SetIterationTime(estimate.wall);
  }
  ratios.Report(state);
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
