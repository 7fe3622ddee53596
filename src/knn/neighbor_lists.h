// The nearest other points of points: what every estimator works on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dimwatch {

// One list for each query, all of the same length. Distances are Euclidean (not squared),
// ascending; equal distances are ordered by id. A point is never in its own list.
class NeighborLists {
 public:
  NeighborLists() = default;
  NeighborLists(std::size_t queries, std::size_t neighbors)
      : neighbors_(neighbors), ids_(queries * neighbors), distances_(queries * neighbors) {}

  std::size_t queries() const { return neighbors_ == 0 ? 0 : ids_.size() / neighbors_; }
  std::size_t neighbors() const { return neighbors_; }

  // Points, nearest first.
  std::span<const std::uint32_t> ids(std::size_t query) const {
    return std::span(ids_).subspan(query * neighbors_, neighbors_);
  }
  std::span<std::uint32_t> ids(std::size_t query) {
    return std::span(ids_).subspan(query * neighbors_, neighbors_);
  }
  std::span<const float> distances(std::size_t query) const {
    return std::span(distances_).subspan(query * neighbors_, neighbors_);
  }
  std::span<float> distances(std::size_t query) {
    return std::span(distances_).subspan(query * neighbors_, neighbors_);
  }

 private:
  std::size_t neighbors_ = 0;
  std::vector<std::uint32_t> ids_;  // queries x neighbors, row-major
  std::vector<float> distances_;    // the same shape
};

}  // namespace dimwatch
