// Inner products of rows of floats, and what rounding makes of them.
//
// By oneDNN on x86-64, which asks the processor what it can do; elsewhere by OpenBLAS.
// docs/decisions.md says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/knn/cloud_rows.h"

namespace dimwatch {

// out[i * columns + j] = scale * (left row i) . (right row j), for matrices rows x dim and
// columns x dim. On the caller's thread alone: the callers share their work among threads
// themselves. Thread-safe.
void MultiplyRows(const float* left, std::size_t rows, const float* right, std::size_t columns,
                  std::size_t dim, float scale, float* out);

// How far |x|^2 + |y|^2 - 2 x.y may be from the squared distance of x and y by rounding, with their
// squared norms: six standard deviations by random rounding.
float RoundingOfSquare(std::size_t dim, float norm, float other_norm);

// Writes row - center, and returns its squared norm. REQUIRES: all have `dim` entries.
float CenterRow(const float* row, const float* center, std::size_t dim, float* out);

// Centered copies of some points, and their squared norms.
struct CenteredRows {
  void Load(const CloudRows& cloud, std::span<const float> center,
            std::span<const std::uint32_t> points);

  std::vector<float> data;  // points x dim
  std::vector<float> norms;
};

}  // namespace dimwatch
