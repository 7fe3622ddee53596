#include "src/knn/centroid.h"

#include <algorithm>
#include <cstddef>

namespace dimwatch {
namespace {

constexpr std::size_t kChunkRows = 1024;

}  // namespace

std::vector<float> Centroid(const CloudRows& rows, ThreadPool& pool) {
  const std::size_t dim = rows.dim();
  std::vector<std::vector<double>> sums((rows.points() + kChunkRows - 1) / kChunkRows);
  pool.ParallelFor(sums.size(), [&](std::size_t chunk) {
    sums[chunk].resize(dim);
    const std::size_t end = std::min(rows.points(), (chunk + 1) * kChunkRows);
    for (std::size_t p = chunk * kChunkRows; p < end; ++p) {
      const float* const row = rows.row(p);
      for (std::size_t i = 0; i < dim; ++i) sums[chunk][i] += static_cast<double>(row[i]);
    }
  });
  std::vector<float> centroid(dim);
  for (std::size_t i = 0; i < dim && !sums.empty(); ++i) {
    double sum = 0;
    for (const std::vector<double>& of_chunk : sums) sum += of_chunk[i];
    centroid[i] = static_cast<float>(sum / static_cast<double>(rows.points()));
  }
  return centroid;
}

}  // namespace dimwatch
