// A rolling window kept current, batch by batch, against the product of each batch with the window
// that no exact search by a BLAS does without. README.md says how to read it.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <vector>

#include "src/lid/rolling_cloud.h"
#include "tests/bench/work.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr std::size_t kWindow = 20'000;
constexpr std::size_t kDim = 768;
constexpr std::size_t kLongest = 512;  // batch

// Rows of an endless stream, which repeats after three windows.
const PointCloud& Stream() {
  static const PointCloud stream =
      testing::Embedded(testing::Gaussian(3 * kWindow, 20, 1), kDim, 2);
  return stream;
}

PointCloudView Batch(std::size_t first, std::size_t rows) {
  first %= 3 * kWindow - kLongest;
  return {{Stream().view().data() + first * kDim, rows * kDim}, rows, kDim};
}

// One product of a batch with the window, in the blocks that are fastest here.
void Multiply(PointCloudView batch, ThreadPool& pool) {
  constexpr std::size_t kBlock = 512;
  pool.ParallelFor((kWindow + kBlock - 1) / kBlock, [&](std::size_t block) {
    thread_local std::vector<float> product(kBlock * kLongest);
    const std::size_t first = block * kBlock, rows = std::min(kBlock, kWindow - first);
    const auto dim = static_cast<int>(kDim), columns = static_cast<int>(batch.points());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), columns, dim, 1.0f,
                Stream().view().data() + first * kDim, dim, batch.data(), dim, 0.0f, product.data(),
                columns);
    benchmark::DoNotOptimize(product.data());
  });
}

// A full window, at some place of the stream, turned over once: until then its lists tell of the
// time when it was filling.
struct Rolling {
  Rolling() : cloud(Settings(), kDim) {
    for (; position < 2 * kWindow; position += kFill) {
      cloud.Update(position < kWindow ? 0 : kFill, 0, Batch(position, kFill), pool);
    }
  }

  static EstimatorSettings Settings() {
    EstimatorSettings settings;
    settings.index = IndexKind::kExact;
    settings.max_points = kWindow;
    return settings;
  }

  static constexpr std::size_t kFill = 500;
  ThreadPool pool{1};  // and the caller's
  RollingCloud cloud;
  std::size_t position = 0;
};

enum class Work { kMean, kEstimate };

void RollingBench(benchmark::State& state, Work work) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  openblas_set_num_threads(1);
  static Rolling rolling;  // filled once for all benchmarks
  const testing::ManualClock clock;
  bench::Seconds products, updates;
  const std::size_t rebuilt = rolling.cloud.rebuilt_lists();
  for ([[maybe_unused]] auto iteration : state) {
    const PointCloudView batch = Batch(rolling.position, rows);
    rolling.position += rows;
    products += bench::Time([&] { Multiply(batch, rolling.pool); });
    const bench::Seconds update = bench::Time([&] {
      rolling.cloud.Update(rows, 0, batch, rolling.pool);
      if (work == Work::kMean) {
        benchmark::DoNotOptimize(rolling.cloud.MeanLid());
      } else {
        benchmark::DoNotOptimize(rolling.cloud.Estimate(rolling.pool, clock));
      }
    });
    updates += update;
    state.SetIterationTime(update.wall);
  }
  const auto arrivals = static_cast<double>(state.iterations()) * static_cast<double>(rows);
  state.counters["rows_per_second"] = arrivals / updates.wall;
  state.counters["ratio"] = products.wall / updates.wall;
  state.counters["cpu_ratio"] = products.cpu / updates.cpu;
  state.counters["rebuilds_per_arrival"] =
      static_cast<double>(rolling.cloud.rebuilt_lists() - rebuilt) / arrivals;
}

BENCHMARK_CAPTURE(RollingBench, mean, Work::kMean)
    ->Name("RollingMean")
    ->ArgName("batch")
    ->Arg(64)
    ->Arg(128)
    ->Arg(256)
    ->Arg(512)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(RollingBench, estimate, Work::kEstimate)
    ->Name("RollingEstimate")
    ->ArgName("batch")
    ->Arg(256)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dimwatch
