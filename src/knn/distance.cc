#include "src/knn/distance.h"

#include <cstring>

namespace dimwatch {
namespace {

constexpr std::size_t kSums = 4;  // independent chains of additions

using Floats4 = float __attribute__((vector_size(16)));
using Floats8 = float __attribute__((vector_size(32)));
using Doubles4 = double __attribute__((vector_size(32)));
using Doubles8 = double __attribute__((vector_size(64)));

// Always inlined, so that it is compiled for the caller's target, which has such lanes.
template <typename Floats, typename Doubles>
inline __attribute__((always_inline)) float Sum(const float* a, const float* b, std::size_t dim) {
  constexpr std::size_t kLanes = sizeof(Floats) / sizeof(float);
  Doubles sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dim; i += kSums * kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      Floats left, right;
      std::memcpy(&left, a + i + s * kLanes, sizeof(left));
      std::memcpy(&right, b + i + s * kLanes, sizeof(right));
      const Doubles difference = __builtin_convertvector(left - right, Doubles);
      sums[s] += difference * difference;
    }
  }
  const Doubles all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) sum += all[lane];
  for (; i < dim; ++i) {
    const auto difference = static_cast<double>(a[i] - b[i]);
    sum += difference * difference;
  }
  return static_cast<float>(sum);
}

float SumAnywhere(const float* a, const float* b, std::size_t dim) {
  return Sum<Floats4, Doubles4>(a, b, dim);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float SumAvx2(const float* a, const float* b, std::size_t dim) {
  return Sum<Floats4, Doubles4>(a, b, dim);
}
__attribute__((target("avx512f,avx512vl"))) float SumAvx512(const float* a, const float* b,
                                                            std::size_t dim) {
  return Sum<Floats8, Doubles8>(a, b, dim);
}
#endif

}  // namespace

SquaredDistanceFunction BestSquaredDistance() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return &SumAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &SumAvx2;
#endif
  return &SumAnywhere;
}

float SquaredDistance(const float* a, const float* b, std::size_t dim) {
  static const SquaredDistanceFunction best = BestSquaredDistance();
  return best(a, b, dim);
}

}  // namespace dimwatch
