// One step of a whole transformer: a cloud for each layer, against the matrix products in them.
// README.md says how to read it.
#include <benchmark/benchmark.h>

#include <vector>

#include "src/lid/cloud_estimate.h"
#include "tests/bench/work.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr std::size_t kLayers = 32;
constexpr std::size_t kPoints = 2000;
constexpr std::size_t kDim = 4096;
constexpr std::size_t kThreads = 2;

enum class Order : std::int64_t { kOneByOne, kTogether };

std::vector<PointCloud> Layers() {
  std::vector<PointCloud> layers;
  layers.reserve(kLayers);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    layers.push_back(testing::Embedded(testing::Gaussian(kPoints, 8 + layer, layer), kDim, 99));
  }
  return layers;
}

// One by one: all threads on one cloud. Together: as many clouds at a time as threads.
void LayersBench(benchmark::State& state) {
  const auto order = static_cast<Order>(state.range(0));
  const std::vector<PointCloud> layers = Layers();
  ThreadPool pool(kThreads - 1);  // and the caller's
  const testing::ManualClock clock;
  const EstimatorSettings settings;
  bench::ProductRatios ratios;
  for ([[maybe_unused]] auto iteration : state) {
    ratios.TimeProducts([&](auto multiply) {
      pool.ParallelFor(
          kLayers, [&](std::size_t i) { bench::MultiplyAll(layers[i].view(), pool, multiply); });
    });
    const auto estimate = [&](std::size_t i) {
      benchmark::DoNotOptimize(EstimateCloud(layers[i].view(), settings, pool, clock));
    };
    const bench::Seconds all = bench::Time([&] {
      if (order == Order::kTogether) {
        pool.ParallelFor(kLayers, estimate);
      } else {
        for (std::size_t i = 0; i < kLayers; ++i) estimate(i);
      }
    });
    ratios.Add(all);
    state.SetIterationTime(all.wall);
  }
  ratios.Report(state);
}

BENCHMARK(LayersBench)
    ->Name("Layers")
    ->ArgName("together")
    ->DenseRange(0, 1)
    ->UseManualTime()
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace dimwatch
