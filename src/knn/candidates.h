// The best candidates seen so far for each row, by an approximate distance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dimwatch {

// A row drops only what is not below its bound, and drops when it holds about one and a half times
// what it is to keep: an offer costs O(1) amortized. Not thread-safe; different rows may be used by
// different threads.
class Candidates {
 public:
  // How many distances are looked at together.
  static constexpr std::size_t kRun = 16;

  // REQUIRES: keep > 0.
  Candidates(std::size_t rows, std::size_t keep);

  // By row: nothing below its bound was dropped. Infinity at first; never rises.
  const float* bounds() const { return bounds_.data(); }

  // Keeps it if it is not above the bound. A full row first drops its largest, but none of its
  // `target` smallest. REQUIRES: 0 < target <= keep.
  void Offer(std::size_t row, float distance, std::uint32_t id, std::size_t target);
  // Offers distances[i] of id first_id + i for every i < count.
  void OfferAll(std::size_t row, std::span<const float> distances, std::uint32_t first_id,
                std::size_t target);

  // Drops all but the `keep` smallest, and returns their ids, in no order.
  std::span<std::uint32_t> Finish(std::size_t row);

 private:
  // Drops until `most` are left or fewer, but no fewer than `target`.
  void Prune(std::size_t row, std::size_t target, std::size_t most);

  std::size_t keep_;
  std::size_t capacity_;
  std::vector<float> bounds_;
  std::vector<std::uint32_t> sizes_;
  std::vector<float> distances_;    // rows x capacity
  std::vector<std::uint32_t> ids_;  // the same shape
};

}  // namespace dimwatch
