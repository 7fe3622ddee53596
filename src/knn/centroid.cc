#include "src/knn/centroid.h"

#include <algorithm>
#include <cstddef>

namespace dimwatch {
namespace {

constexpr std::size_t kChunkColumns = 256;

}  // namespace

std::vector<float> Centroid(const CloudRows& rows, ThreadPool& pool) {
  std::vector<float> centroid(rows.dim());
  if (rows.points() == 0) return centroid;
  pool.ParallelFor((rows.dim() + kChunkColumns - 1) / kChunkColumns, [&](std::size_t chunk) {
    const std::size_t begin = chunk * kChunkColumns;
    const std::size_t width = std::min(kChunkColumns, rows.dim() - begin);
    std::vector<double> sums(width);
    for (std::size_t p = 0; p < rows.points(); ++p) {
      const float* const row = rows.row(p) + begin;
      for (std::size_t i = 0; i < width; ++i) sums[i] += static_cast<double>(row[i]);
    }
    for (std::size_t i = 0; i < width; ++i) {
      centroid[begin + i] = static_cast<float>(sums[i] / static_cast<double>(rows.points()));
    }
  });
  return centroid;
}

}  // namespace dimwatch
