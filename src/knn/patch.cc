#include "src/knn/patch.h"

#include <algorithm>
#include <cmath>

#include "src/knn/distance.h"
#include "src/knn/products.h"

namespace dimwatch {
void PatchSearch::Search(const CloudRows& cloud, std::span<const std::uint32_t> members,
                         std::span<TwoSmallest> out) {
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
  MultiplyRows(centered_.data(), count, centered_.data(), count, dim, 1.0f, products_.data());
  for (std::size_t m = 0; m < count; ++m) norms_[m] = products_[m * count + m];
  for (std::size_t m = 0; m < count; ++m) out[m] = Nearest(cloud, members, m);
}

TwoSmallest PatchSearch::Nearest(const CloudRows& cloud, std::span<const std::uint32_t> members,
                                 std::size_t member) const {
  const float* const row = &products_[member * members.size()];
  const auto rough = [&](std::size_t m) { return norms_[member] + norms_[m] - 2 * row[m]; };
  TwoSmallest roughly;
  float longest = 0;
  for (std::size_t m = 0; m < members.size(); ++m) {
    longest = std::max(longest, norms_[m]);
    if (m != member) roughly.Observe(rough(m));
  }
  const float error = RoundingOfSquare(cloud.dim(), norms_[member], longest);
  TwoSmallest squares;
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (m == member || rough(m) > roughly.second + 2 * error) continue;
    squares.Observe(
        SquaredDistance(cloud.row(members[member]), cloud.row(members[m]), cloud.dim()));
  }
  return {std::sqrt(squares.first), std::sqrt(squares.second)};
}

}  // namespace dimwatch
