// The best candidates seen so far for each row, by a rough squared distance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/base/page_array.h"

namespace dimwatch {

// A row drops only what is not below its bound, and drops when it holds about a third more than
// what it is to keep: an offer costs O(1) amortized. Not thread-safe; different rows may be used by
// different threads.
class Candidates {
 public:
  // REQUIRES: keep > 0.
  Candidates(std::size_t rows, std::size_t keep);

  // By row: nothing below its bound was dropped. Infinity at first; never rises.
  const float* bounds() const { return bounds_.data(); }

  // Keeps it if it is not above the bound. A full row first drops its largest, but none of its
  // `target` smallest. REQUIRES: 0 < target <= keep.
  void Offer(std::size_t row, float square, std::uint32_t id, std::size_t target) {
    if (!(square <= bounds_[row])) return;
    if (sizes_[row] == capacity_) {
      Prune(row, target);
      if (!(square <= bounds_[row])) return;
    }
    const std::size_t at = row * capacity_ + sizes_[row]++;
    squares_[at] = square;
    ids_[at] = id;
  }

  // What a row holds: all that it was offered below its bound, and perhaps more. In no order.
  std::span<const float> squares(std::size_t row) const {
    return {&squares_[row * capacity_], sizes_[row]};
  }
  std::span<const std::uint32_t> ids(std::size_t row) const {
    return {&ids_[row * capacity_], sizes_[row]};
  }

 private:
  void Prune(std::size_t row, std::size_t target);

  std::size_t capacity_;
  std::vector<float> bounds_;
  std::vector<std::uint32_t> sizes_;
  PageArray<float> squares_;  // rows x capacity
  PageArray<std::uint32_t> ids_;
};

}  // namespace dimwatch
