// Inner products with rows that meet many others, laid out for that once.
#pragma once

#include <cstddef>
#include <vector>

namespace dimwatch {

// Copies of some rows. A product of a small batch with a large window is bound by how the factors
// are read: with AVX-512 the copies lie in panels, and the window's rows are read where they lie,
// where a library arranges both anew in every call. Elsewhere MultiplyRows does it. Thread-safe.
class PackedRows {
 public:
  // Rows on the left are best multiplied in multiples of this.
  static constexpr std::size_t kRowsAtOnce = 6;

  // Of a matrix count x dim, row-major.
  PackedRows(const float* rows, std::size_t count, std::size_t dim);

  std::size_t count() const { return count_; }

  // out[i * count() + j] = scale * (left row i) . (row j), for a matrix rows x dim. On the caller's
  // thread alone.
  void Multiply(const float* left, std::size_t rows, float scale, float* out) const;

 private:
  static constexpr std::size_t kColumns = 16;  // of a panel
  struct alignas(64) Line {
    float columns[kColumns];
  };

  std::size_t count_;
  std::size_t dim_;
  std::vector<Line> panels_;  // with AVX-512: panels x dim, the last panel filled up with zeros
  std::vector<float> rows_;   // elsewhere: the matrix itself
};

}  // namespace dimwatch
