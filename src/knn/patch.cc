#include "src/knn/patch.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/knn/distance.h"

namespace dimwatch {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void Observe(float value, TwoNearest& nearest) {
  nearest.second = std::min(nearest.second, std::max(nearest.first, value));
  nearest.first = std::min(nearest.first, value);
}

}  // namespace

void PatchSearch::Search(const CloudRows& cloud, std::span<const std::uint32_t> members,
                         std::span<TwoNearest> out) {
  static const bool one_blas_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_blas_thread);
  const std::size_t dim = cloud.dim(), count = members.size();
  centered_.resize(count * dim);
  norms_.resize(count);
  products_.resize(count * count);
  // Any member is a center near enough: the norms are no longer than the set is wide.
  const float* const center = cloud.row(members[0]);
  for (std::size_t m = 0; m < count; ++m) {
    const float* const from = cloud.row(members[m]);
    float* const to = &centered_[m * dim];
    for (std::size_t i = 0; i < dim; ++i) to[i] = from[i] - center[i];
  }
  const auto n = static_cast<int>(count), k = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, k, 1.0f, centered_.data(), k,
              centered_.data(), k, 0.0f, products_.data(), n);
  for (std::size_t m = 0; m < count; ++m) norms_[m] = products_[m * count + m];
  for (std::size_t m = 0; m < count; ++m) out[m] = Nearest(cloud, members, m);
}

// The rounding error of a product is allowed for as in exact.cc: six standard deviations of that by
// random rounding.
TwoNearest PatchSearch::Nearest(const CloudRows& cloud, std::span<const std::uint32_t> members,
                                std::size_t member) const {
  using Limits = std::numeric_limits<float>;
  const float* const row = &products_[member * members.size()];
  const auto rough = [&](std::size_t m) { return norms_[member] + norms_[m] - 2 * row[m]; };
  TwoNearest roughly{kInfinity, kInfinity};
  float longest = 0;
  for (std::size_t m = 0; m < members.size(); ++m) {
    longest = std::max(longest, norms_[m]);
    if (m != member) Observe(rough(m), roughly);
  }
  const auto dim = static_cast<float>(cloud.dim());
  const float error = Limits::epsilon() * std::sqrt(dim) * (norms_[member] + longest) +
                      4 * dim * Limits::denorm_min();
  TwoNearest squares{kInfinity, kInfinity};
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (m == member || rough(m) > roughly.second + 2 * error) continue;
    Observe(SquaredDistance(cloud.row(members[member]), cloud.row(members[m]), cloud.dim()),
            squares);
  }
  return {std::sqrt(squares.first), std::sqrt(squares.second)};
}

}  // namespace dimwatch
