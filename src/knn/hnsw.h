// Approximate nearest neighbors by a navigable small-world graph (Malkov & Yashunin 2018), for
// clouds too large for all pairs.
#pragma once

#include <cstdint>

#include "src/knn/neighbor_engine.h"

namespace dimwatch {

// Builds a graph for each search: on one thread, so that the same seed gives the same graph; the
// queries then run in parallel. A list may miss neighbors (recall.h measures how many); its
// distances are true ones. About n log n searches of a few hundred distances.
class HnswEngine final : public NeighborEngine {
 public:
  explicit HnswEngine(std::uint64_t seed) : seed_(seed) {}

  NeighborLists Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                       std::size_t neighbors, std::size_t ranked, ThreadPool& pool) const override;

 private:
  std::uint64_t seed_;
};

}  // namespace dimwatch
