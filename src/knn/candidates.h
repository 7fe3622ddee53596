// The best candidates seen so far for each point, by an approximate squared distance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace dimwatch {

// For every row the `keep` smallest of what was offered, by (distance, id): a set that does not
// depend on the order of offers. A row holds up to twice as many before it is pruned, so an offer
// costs O(1) amortized. Not thread-safe; different rows may be used by different threads.
class Candidates {
 public:
  // How many values OfferRun looks at together.
  static constexpr std::size_t kRun = 16;

  // REQUIRES: keep > 0.
  Candidates(std::size_t rows, std::size_t keep);

  // Nothing above it is kept. Infinity until `keep` candidates were offered.
  const float* bounds() const { return bounds_.data(); }

  void Offer(std::size_t row, float distance, std::uint32_t id);
  // Offers distances[i] of id first_id + i for every i < count.
  void OfferAll(std::size_t row, const float* distances, std::size_t count, std::uint32_t first_id);

  // Prunes to `keep`, and returns the ids kept, in no order.
  std::span<std::uint32_t> Finish(std::size_t row);

 private:
  void Prune(std::size_t row);

  std::size_t keep_;
  std::size_t capacity_;
  std::vector<float> bounds_;
  std::vector<std::uint32_t> sizes_;
  std::vector<float> distances_;    // rows x capacity
  std::vector<std::uint32_t> ids_;  // the same shape
};

}  // namespace dimwatch
