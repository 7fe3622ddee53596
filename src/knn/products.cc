#include "src/knn/products.h"

#include <cblas.h>

#include <cmath>
#include <limits>

#include "src/knn/distance.h"

namespace dimwatch {

void MultiplyRows(const float* left, std::size_t rows, const float* right, std::size_t columns,
                  std::size_t dim, float scale, float* out) {
  static const bool one_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_thread);
  const auto m = static_cast<int>(rows), n = static_cast<int>(columns), k = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, scale, left, k, right, k, 0.0f, out,
              n);
}

float RoundingOfSquare(std::size_t dim, float norm, float other_norm) {
  using Limits = std::numeric_limits<float>;
  const auto d = static_cast<float>(dim);
  return Limits::epsilon() * (std::sqrt(d) + 4) * (norm + other_norm) +
         4 * d * Limits::denorm_min();  // where squares underflow
}

void CenteredRows::Load(const CloudRows& cloud, std::span<const float> center,
                        std::span<const std::uint32_t> points) {
  const std::size_t dim = cloud.dim();
  data.resize(points.size() * dim);
  norms.resize(points.size());
  for (std::size_t r = 0; r < points.size(); ++r) {
    if (r + 1 < points.size()) PrefetchRow(cloud.row(points[r + 1]), dim);
    const float* const from = cloud.row(points[r]);
    float* const to = &data[r * dim];
    for (std::size_t i = 0; i < dim; ++i) to[i] = from[i] - center[i];
    norms[r] = cblas_sdot(static_cast<int>(dim), to, 1, to, 1);
  }
}

}  // namespace dimwatch
