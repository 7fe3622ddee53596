// What benchmarks share: work timed by wall and by processor, and the matrix products that no exact
// all-kNN by a BLAS does without.
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

// Inner products of every pair of points, each pair of blocks once. The BLAS is to use one thread.
inline void MultiplyAll(PointCloudView cloud, ThreadPool& pool) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t a = 0; a < cloud.points(); a += kProductBlock) {
    for (std::size_t b = a; b < cloud.points(); b += kProductBlock) pairs.emplace_back(a, b);
  }
  pool.ParallelFor(pairs.size(), [&](std::size_t i) {
    thread_local std::vector<float> product(kProductBlock * kProductBlock);
    const auto [a, b] = pairs[i];
    const auto rows = static_cast<int>(std::min(kProductBlock, cloud.points() - a));
    const auto columns = static_cast<int>(std::min(kProductBlock, cloud.points() - b));
    const auto dim = static_cast<int>(cloud.dim());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, dim, 1.0f,
                cloud.data() + a * cloud.dim(), dim, cloud.data() + b * cloud.dim(), dim, 0.0f,
                product.data(), columns);
    benchmark::DoNotOptimize(product.data());
  });
}

}  // namespace dimwatch::bench
