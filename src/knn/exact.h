// Exact nearest neighbors of all points.
#pragma once

#include "src/knn/neighbor_engine.h"

namespace dimwatch {

class ExactEngine final : public NeighborEngine {
 public:
  NeighborLists SearchAll(const CloudRows& cloud, std::size_t neighbors,
                          ThreadPool& pool) const override;
  NeighborLists Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                       std::size_t neighbors, ThreadPool& pool) const override;
};

}  // namespace dimwatch
