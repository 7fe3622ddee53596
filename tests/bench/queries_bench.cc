// An estimate to a target error from few queries, against one from all points. README.md says how
// to read it.
#include <benchmark/benchmark.h>

#include "src/lid/cloud_estimate.h"
#include "tests/bench/work.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr std::size_t kDim = 768;
// All points of so many are asked in this run; the time of more is taken to grow as the square.
constexpr std::size_t kAllPoints = 20'000;

EstimatorSettings Settings(double target) {
  EstimatorSettings settings;
  settings.index = IndexKind::kExact;
  settings.max_points = kMaxCloudPoints;
  settings.target_standard_error = target;
  return settings;
}

PointCloud Cloud(std::size_t points) {
  return testing::Embedded(testing::Gaussian(points, 20, 1), kDim, 2);
}

bench::Seconds TimeAllPoints(ThreadPool& pool) {
  const PointCloud cloud = Cloud(kAllPoints);
  const testing::ManualClock clock;
  return bench::Time(
      [&] { benchmark::DoNotOptimize(EstimateCloud(cloud.view(), Settings(0), pool, clock)); });
}

void EstimateToTargetBench(benchmark::State& state) {
  const auto points = static_cast<std::size_t>(state.range(0));
  ThreadPool pool(1);  // and the caller's
  const testing::ManualClock clock;
  const bench::Seconds all = TimeAllPoints(pool);
  const double growth = static_cast<double>(points) / static_cast<double>(kAllPoints);
  const PointCloud cloud = Cloud(points);
  bench::Seconds few;
  CloudEstimate estimate;
  for ([[maybe_unused]] auto iteration : state) {
    const bench::Seconds once =
        bench::Time([&] { estimate = *EstimateCloud(cloud.view(), Settings(0.005), pool, clock); });
    few += once;
    state.SetIterationTime(once.wall);
  }
  const auto runs = static_cast<double>(state.iterations());
  state.counters["ratio"] = few.wall / runs / (all.wall * growth * growth);
  state.counters["cpu_ratio"] = few.cpu / runs / (all.cpu * growth * growth);
  state.counters["all_seconds_extrapolated"] = all.wall * growth * growth;
  state.counters["queries"] = static_cast<double>(estimate.queries);
  state.counters["relative_error"] = *estimate.standard_error / *estimate.mean;
}

BENCHMARK(EstimateToTargetBench)
    ->Name("EstimateToTarget")
    ->Arg(60'000)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace dimwatch
