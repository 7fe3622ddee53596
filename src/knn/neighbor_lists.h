// The nearest other points of points: what every estimator works on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

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
    return std::span(ids_).subspan(query * neighbors_, neighbors_);
  }
  std::span<std::uint32_t> ids(std::size_t query) {
    return std::span(ids_).subspan(query * neighbors_, neighbors_);
  }
  // Of the ranked entries: Euclidean distances (not squared), ascending.
  std::span<const float> distances(std::size_t query) const {
    return std::span(distances_).subspan(query * neighbors_, ranked_);
  }
  std::span<float> distances(std::size_t query) {
    return std::span(distances_).subspan(query * neighbors_, ranked_);
  }
  // Of the others, in the order of their ids: squared distances, each within slack(query) of that
  // by SquaredDistance.
  std::span<const float> rough_squares(std::size_t query) const {
    return std::span(distances_).subspan(query * neighbors_ + ranked_, neighbors_ - ranked_);
  }
  std::span<float> rough_squares(std::size_t query) {
    return std::span(distances_).subspan(query * neighbors_ + ranked_, neighbors_ - ranked_);
  }
  // Adds the lists of other queries. REQUIRES: this is empty or of the same lengths.
  void Append(NeighborLists other) {
    if (slack_.empty()) {
      *this = std::move(other);
      return;
    }
    ids_.insert(ids_.end(), other.ids_.begin(), other.ids_.end());
    distances_.insert(distances_.end(), other.distances_.begin(), other.distances_.end());
    slack_.insert(slack_.end(), other.slack_.begin(), other.slack_.end());
  }

  float slack(std::size_t query) const { return slack_[query]; }
  void set_slack(std::size_t query, float slack) { slack_[query] = slack; }

 private:
  std::size_t neighbors_ = 0;
  std::size_t ranked_ = 0;
  std::vector<std::uint32_t> ids_;  // queries x neighbors, row-major
  std::vector<float> distances_;    // the same shape: distances, then rough squares
  std::vector<float> slack_;        // by query
};

}  // namespace dimwatch
