#include "src/knn/distance.h"

#include <array>

namespace dimwatch {
namespace {

constexpr std::size_t kLanes = 32;

}  // namespace

float SquaredDistance(const float* a, const float* b, std::size_t dim) {
  std::array<float, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float difference = a[i + lane] - b[i + lane];
      sums[lane] += difference * difference;
    }
  }
  for (std::size_t lane = 0; i < dim; ++i, ++lane) {
    const float difference = a[i] - b[i];
    sums[lane] += difference * difference;
  }
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

}  // namespace dimwatch
