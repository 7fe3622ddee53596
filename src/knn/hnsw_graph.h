// A navigable small-world graph (Malkov & Yashunin 2018): grown node by node, then searched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "src/knn/distance.h"

namespace dimwatch {

// The squared distance by which graphs find their way: summed in float, unlike SquaredDistance,
// which is twice as fast. For the vector units of this machine.
SquaredDistanceFunction RoughSquaredDistance();

// The nodes are rows that stay where they are: the graph holds pointers to them, not copies.
// The same rows in the same order and the same seed give the same graph. Add is not thread-safe,
// nor to be called during a search; searches may run together.
class HnswGraph {
 public:
  struct Found {
    float square = 0;  // by RoughSquaredDistance
    std::uint32_t node = 0;
  };
  // What one search needs; used for many searches, by one thread at a time, of any graphs.
  class Workspace {
   private:
    friend class HnswGraph;
    std::vector<std::uint8_t> visits_;  // by node: the last search that saw it
    std::uint8_t search_ = 0;
    std::vector<Found> nearest_;           // ascending
    std::vector<std::uint8_t> continued_;  // by place in nearest_: its links were followed
  };

  // REQUIRES: capacity > 0.
  HnswGraph(std::size_t capacity, std::size_t dim, std::uint64_t seed);
  ~HnswGraph();
  HnswGraph(HnswGraph&&) noexcept;
  HnswGraph& operator=(HnswGraph&&) noexcept;

  // Node size() is `row`, of finite components. REQUIRES: size() < capacity.
  void Add(const float* row);
  std::size_t size() const;

  // The `breadth` nearest nodes of `row` that a walk finds which continues from each of the
  // `breadth` nearest seen so far; nearest first. It misses some, fewer the larger the breadth is,
  // and never gives a wrong distance. Valid until the next search with the same workspace.
  // REQUIRES: size() > 0, breadth > 0.
  std::span<const Found> Search(const float* row, std::size_t breadth, Workspace& workspace) const;
  // All nodes, in an order in which near ones tend to follow each other: searches in this order
  // find more of what they need in the processor's cache. O(size()).
  std::vector<std::uint32_t> NearbyOrder() const;
  // The same as Search for the row of `node`, where the walk begins. REQUIRES: node < size().
  std::span<const Found> SearchFrom(std::uint32_t node, std::size_t breadth,
                                    Workspace& workspace) const;

 private:
  class Impl;
  std::span<const Found> Walk(const float* row, std::uint32_t start, std::size_t breadth,
                              Workspace& workspace) const;

  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
