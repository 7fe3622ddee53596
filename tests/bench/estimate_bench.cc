// An estimate against the matrix products in it. README.md says how to read it.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

#include "src/lid/cloud_estimate.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr std::size_t kBlock = 512;

// Inner products of every pair of points, each pair of blocks once.
void MultiplyAll(PointCloudView cloud, ThreadPool& pool) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t a = 0; a < cloud.points(); a += kBlock) {
    for (std::size_t b = a; b < cloud.points(); b += kBlock) pairs.emplace_back(a, b);
  }
  pool.ParallelFor(pairs.size(), [&](std::size_t i) {
    thread_local std::vector<float> product(kBlock * kBlock);
    const auto [a, b] = pairs[i];
    const auto rows = static_cast<int>(std::min(kBlock, cloud.points() - a));
    const auto columns = static_cast<int>(std::min(kBlock, cloud.points() - b));
    const auto dim = static_cast<int>(cloud.dim());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, dim, 1.0f,
                cloud.data() + a * cloud.dim(), dim, cloud.data() + b * cloud.dim(), dim, 0.0f,
                product.data(), columns);
    benchmark::DoNotOptimize(product.data());
  });
}

struct Seconds {
  double wall = 0, cpu = 0;
};

template <typename Work>
Seconds Time(const Work& work) {
  const auto wall = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

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
  Seconds products, estimates;
  for ([[maybe_unused]] auto iteration : state) {
    const Seconds product = Time([&] { MultiplyAll(cloud.view(), pool); });
    const Seconds estimate =
        Time([&] { benchmark::DoNotOptimize(EstimateCloud(cloud.view(), settings, pool, clock)); });
    products.wall += product.wall;
    products.cpu += product.cpu;
    estimates.wall += estimate.wall;
    estimates.cpu += estimate.cpu;
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
