// What benchmarks share: work timed by wall and by processor, and the matrix products that no exact
// all-kNN does without.
#pragma once

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/products.h"

namespace dimwatch::bench {

struct Seconds {
  double wall = 0, cpu = 0;
  Seconds& operator+=(const Seconds& other) {
    wall += other.wall;
    cpu += other.cpu;
    return *this;
  }
};

// Wall time, and processor time of all threads.
template <typename Work>
Seconds Time(const Work& work) {
  const auto wall = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

inline constexpr std::size_t kProductBlock = 512;

// As MultiplyRows (src/knn/products.h), by OpenBLAS on one thread.
inline void MultiplyByOpenBlas(const float* left, std::size_t rows, const float* right,
                               std::size_t columns, std::size_t dim, float scale, float* out) {
  static const bool one_thread = (openblas_set_num_threads(1), true);
  benchmark::DoNotOptimize(one_thread);
  const auto m = static_cast<int>(rows), n = static_cast<int>(columns), k = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, scale, left, k, right, k, 0.0f, out,
              n);
}

// Inner products of every pair of points, each pair of blocks once, by `multiply`.
inline void MultiplyAll(PointCloudView cloud, ThreadPool& pool, decltype(&MultiplyRows) multiply) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t a = 0; a < cloud.points(); a += kProductBlock) {
    for (std::size_t b = a; b < cloud.points(); b += kProductBlock) pairs.emplace_back(a, b);
  }
  pool.ParallelFor(pairs.size(), [&](std::size_t i) {
    thread_local std::vector<float> product(kProductBlock * kProductBlock);
    const auto [a, b] = pairs[i];
    const std::size_t rows = std::min(kProductBlock, cloud.points() - a);
    const std::size_t columns = std::min(kProductBlock, cloud.points() - b);
    multiply(cloud.data() + a * cloud.dim(), rows, cloud.data() + b * cloud.dim(), columns,
             cloud.dim(), 1.0f, product.data());
    benchmark::DoNotOptimize(product.data());
  });
}

// The work against the products alone: by OpenBLAS, and by what MultiplyRows uses here.
class ProductRatios {
 public:
  template <typename Products>  // called with the function to multiply by
  void TimeProducts(const Products& products) {
    openblas_ += Time([&] { products(&MultiplyByOpenBlas); });
    ours_ += Time([&] { products(&MultiplyRows); });
  }
  void Add(Seconds work) { work_ += work; }

  void Report(benchmark::State& state) const {
    state.counters["sgemm_seconds"] =
        benchmark::Counter(openblas_.wall, benchmark::Counter::kAvgIterations);
    state.counters["ratio"] = work_.wall / openblas_.wall;
    state.counters["cpu_ratio"] = work_.cpu / openblas_.cpu;
    state.counters["own_products_seconds"] =
        benchmark::Counter(ours_.wall, benchmark::Counter::kAvgIterations);
    state.counters["own_ratio"] = work_.wall / ours_.wall;
    state.counters["own_cpu_ratio"] = work_.cpu / ours_.cpu;
  }

 private:
  Seconds work_, openblas_, ours_;
};

}  // namespace dimwatch::bench
