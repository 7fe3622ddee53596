// The two smallest of a set of numbers.
#pragma once

#include <algorithm>
#include <limits>

namespace dimwatch {

// Infinity where there is no such number.
struct TwoSmallest {
  void Observe(float value) {
    second = std::min(second, std::max(first, value));
    first = std::min(first, value);
  }
  float first = std::numeric_limits<float>::infinity();
  float second = std::numeric_limits<float>::infinity();
};

}  // namespace dimwatch
