// Euclidean distance of two rows in the difference form, which does not cancel.
#pragma once

#include <cstddef>

namespace dimwatch {

using SquaredDistanceFunction = float (*)(const float* a, const float* b, std::size_t dim);

// Squared distance: the float next to the sum of squares of the differences, each rounded to a
// float. Symmetric to the last bit. The vector units of the machine change the order of a sum of
// doubles, so the result only where it lies between two floats to 1e-13. O(dim).
float SquaredDistance(const float* a, const float* b, std::size_t dim);

// Asks for a row that is measured soon: rows lie anywhere in memory, and the first part of one is
// what the processor does not fetch by itself in time.
inline void PrefetchRow(const float* row, std::size_t dim) {
  constexpr std::size_t kLine = 16, kMost = 64 * kLine;
  for (std::size_t i = 0; i < (dim < kMost ? dim : kMost); i += kLine) {
    __builtin_prefetch(row + i);
  }
}

// The function behind it on this machine, for loops that would choose it at every call.
SquaredDistanceFunction BestSquaredDistance();

}  // namespace dimwatch
