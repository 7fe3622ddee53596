#include "src/knn/products.h"

#include <cmath>
#include <limits>

#include "src/knn/distance.h"

#if defined(__x86_64__)
#include <dnnl.h>

#include <new>
// Of the OpenMP that oneDNN is built with; omp.h belongs to one compiler alone.
// Of teams that the calling thread starts:
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int threads);
#else
#include <cblas.h>
#endif

namespace dimwatch {

#if defined(__x86_64__)

void MultiplyRows(const float* left, std::size_t rows, const float* right, std::size_t columns,
                  std::size_t dim, float scale, float* out) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto m = static_cast<dnnl_dim_t>(rows), n = static_cast<dnnl_dim_t>(columns),
             k = static_cast<dnnl_dim_t>(dim);
  const dnnl_status_t status =
      dnnl_sgemm('N', 'T', m, n, k, scale, left, k, right, k, 0.0f, out, n);
  omp_set_num_threads(threads);
  if (status != dnnl_success) throw std::bad_alloc();  // the sizes are sound
}

#else

void MultiplyRows(const float* left, std::size_t rows, const float* right, std::size_t columns,
                  std::size_t dim, float scale, float* out) {
  static const bool one_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_thread);
  const auto m = static_cast<int>(rows), n = static_cast<int>(columns), k = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, scale, left, k, right, k, 0.0f, out,
              n);
}

#endif

float RoundingOfSquare(std::size_t dim, float norm, float other_norm) {
  using Limits = std::numeric_limits<float>;
  const auto d = static_cast<float>(dim);
  return Limits::epsilon() * (std::sqrt(d) + 4) * (norm + other_norm) +
         4 * d * Limits::denorm_min();  // where squares underflow
}

float CenterRow(const float* row, const float* center, std::size_t dim, float* out) {
  float sums[16] = {};  // independent chains of additions
  std::size_t i = 0;
  for (; i + 16 <= dim; i += 16) {
    for (std::size_t lane = 0; lane < 16; ++lane) {
      const float value = row[i + lane] - center[i + lane];
      out[i + lane] = value;
      sums[lane] += value * value;
    }
  }
  for (; i < dim; ++i) {
    out[i] = row[i] - center[i];
    sums[0] += out[i] * out[i];
  }
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

void CenteredRows::Load(const CloudRows& cloud, std::span<const float> center,
                        std::span<const std::uint32_t> points) {
  const std::size_t dim = cloud.dim();
  data.resize(points.size() * dim);
  norms.resize(points.size());
  for (std::size_t r = 0; r < points.size(); ++r) {
    if (r + 1 < points.size()) PrefetchRow(cloud.row(points[r + 1]), dim);
    norms[r] = CenterRow(cloud.row(points[r]), center.data(), dim, &data[r * dim]);
  }
}

}  // namespace dimwatch
