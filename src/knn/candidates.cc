#include "src/knn/candidates.h"

#include <algorithm>
#include <limits>

namespace dimwatch {
namespace {

// A value that at least `least` of `squares` are not above and at most `most` are below; by
// halving, which takes fewer steps the farther apart the two are, and in the end by selection.
inline __attribute__((always_inline)) float FindBound(const float* squares, std::size_t size,
                                                      std::size_t least, std::size_t most) {
  float low = squares[0], high = squares[0];
  for (std::size_t i = 0; i < size; ++i) {
    low = squares[i] < low ? squares[i] : low;
    high = squares[i] > high ? squares[i] : high;
  }
  for (int step = 0; step < 10 && least < most; ++step) {
    const float middle = low + (high - low) / 2;
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < size; ++i) count += squares[i] <= middle;
    if (count >= least && count <= most) return middle;
    (count < least ? low : high) = middle;
  }
  std::vector<float> order(squares, squares + size);
  const auto last = order.begin() + static_cast<std::ptrdiff_t>(least - 1);
  std::nth_element(order.begin(), last, order.end());
  return *last;
}

using FindBoundFunction = float (*)(const float* squares, std::size_t size, std::size_t least,
                                    std::size_t most);

float FindBoundAnywhere(const float* squares, std::size_t size, std::size_t least,
                        std::size_t most) {
  return FindBound(squares, size, least, most);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) float FindBoundAvx2(const float* squares, std::size_t size,
                                                    std::size_t least, std::size_t most) {
  return FindBound(squares, size, least, most);
}
#endif

FindBoundFunction BestFindBound() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return &FindBoundAvx2;
#endif
  return &FindBoundAnywhere;
}

}  // namespace

Candidates::Candidates(std::size_t rows, std::size_t keep)
    : capacity_(keep + keep / 3 + 16),
      bounds_(rows, std::numeric_limits<float>::infinity()),
      sizes_(rows),
      squares_(rows * capacity_),
      ids_(rows * capacity_) {}

void Candidates::Prune(std::size_t row, std::size_t target) {
  const std::size_t size = sizes_[row], most = target + (capacity_ - target) / 4;
  const std::span squares(&squares_[row * capacity_], size);
  const std::span ids(&ids_[row * capacity_], size);
  static const FindBoundFunction find_bound = BestFindBound();
  const float bound = find_bound(squares.data(), size, target, most);
  std::uint32_t below = 0;
  for (std::size_t i = 0; i < size; ++i) below += squares[i] < bound;
  std::size_t room = most - below;  // for those at the bound
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const bool tie = squares[i] == bound && room > 0;
    squares[kept] = squares[i];
    ids[kept] = ids[i];
    kept += squares[i] < bound || tie;
    room -= tie;
  }
  sizes_[row] = kept;
  bounds_[row] = bound;
}

}  // namespace dimwatch
