// The nearest other points of points: what every estimator works on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "src/base/page_array.h"

namespace dimwatch {

// One list for each query, all of the same length: its nearest other points. The first `ranked`
// entries are the nearest of them, by (distance, id), with their distances. Of the others it is
// known that they belong to the list, and about how far they are.
class NeighborLists {
 public:
  NeighborLists() = default;
  // REQUIRES: ranked <= neighbors.
  NeighborLists(std::size_t queries, std::size_t neighbors, std::size_t ranked)
      : neighbors_(neighbors),
        ranked_(ranked),
        ids_(queries * neighbors),
        distances_(queries * neighbors),
        slack_(queries) {}

  std::size_t queries() const { return slack_.size(); }
  std::size_t neighbors() const { return neighbors_; }
  std::size_t ranked() const { return ranked_; }

  // Points: the ranked ones, nearest first, then the others in no order.
  std::span<const std::uint32_t> ids(std::size_t query) const {
    return {&ids_[query * neighbors_], neighbors_};
  }
  std::span<std::uint32_t> ids(std::size_t query) {
    return {&ids_[query * neighbors_], neighbors_};
  }
  // Of the ranked entries: Euclidean distances (not squared), ascending.
  std::span<const float> distances(std::size_t query) const {
    return {&distances_[query * neighbors_], ranked_};
  }
  std::span<float> distances(std::size_t query) {
    return {&distances_[query * neighbors_], ranked_};
  }
  // Of the others, in the order of their ids: squared distances, each within slack(query) of that
  // by SquaredDistance.
  std::span<const float> rough_squares(std::size_t query) const {
    return {&distances_[query * neighbors_ + ranked_], neighbors_ - ranked_};
  }
  std::span<float> rough_squares(std::size_t query) {
    return {&distances_[query * neighbors_ + ranked_], neighbors_ - ranked_};
  }
  // Adds the lists of other queries. REQUIRES: this is empty or of the same lengths.
  void Append(NeighborLists other) {
    if (slack_.empty()) {
      *this = std::move(other);
      return;
    }
    NeighborLists all(queries() + other.queries(), neighbors_, ranked_);
    for (const NeighborLists* part : {this, &other}) {
      const std::size_t first = part == this ? 0 : queries();
      const std::size_t entries = part->queries() * neighbors_;
      std::copy_n(&part->ids_[0], entries, &all.ids_[first * neighbors_]);
      std::copy_n(&part->distances_[0], entries, &all.distances_[first * neighbors_]);
      std::ranges::copy(part->slack_, all.slack_.begin() + static_cast<std::ptrdiff_t>(first));
    }
    *this = std::move(all);
  }

  float slack(std::size_t query) const { return slack_[query]; }
  void set_slack(std::size_t query, float slack) { slack_[query] = slack; }

 private:
  std::size_t neighbors_ = 0;
  std::size_t ranked_ = 0;
  PageArray<std::uint32_t> ids_;  // queries x neighbors, row-major
  PageArray<float> distances_;    // the same shape: distances, then rough squares
  std::vector<float> slack_;      // by query
};

}  // namespace dimwatch
