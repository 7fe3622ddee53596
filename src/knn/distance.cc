#include "src/knn/distance.h"

#include <cstring>

namespace dimwatch {
namespace {

// Eight lanes; the compiler splits them where the machine has narrower ones.
using Lanes = float __attribute__((vector_size(32)));
constexpr std::size_t kLanes = 8;
constexpr std::size_t kSums = 4;  // independent chains of additions

inline __attribute__((always_inline)) float Sum(const float* a, const float* b, std::size_t dim) {
  Lanes sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dim; i += kSums * kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      Lanes left, right;
      std::memcpy(&left, a + i + s * kLanes, sizeof(left));
      std::memcpy(&right, b + i + s * kLanes, sizeof(right));
      const Lanes difference = left - right;
      sums[s] += difference * difference;
    }
  }
  const Lanes all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float rest = 0;
  for (; i < dim; ++i) rest += (a[i] - b[i]) * (a[i] - b[i]);
  return (((all[0] + all[4]) + (all[1] + all[5])) + ((all[2] + all[6]) + (all[3] + all[7]))) + rest;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) float SumAvx2(const float* a, const float* b, std::size_t dim) {
  return Sum(a, b, dim);
}
#endif

}  // namespace

float SquaredDistance(const float* a, const float* b, std::size_t dim) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return SumAvx2(a, b, dim);
#endif
  return Sum(a, b, dim);
}

}  // namespace dimwatch
