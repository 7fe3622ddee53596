// Exact nearest neighbors of all points, by blocks of the matrix of inner products.
//
// |x - y|^2 = |x|^2 + |y|^2 - 2 xy lets a BLAS do the work, but cancels. So the cloud is centered,
// a few candidates more than asked for are kept, their distances are computed again in the
// difference form, and the list is taken only where the rounding error of what was left out cannot
// matter; otherwise (many equal distances) the row is searched without the expansion.
#pragma once

#include "src/knn/neighbor_engine.h"

namespace dimwatch {

// Equal to a search of all pairs by SquaredDistance, ties included. n^2 dim floating-point
// operations for all n points: every pair of blocks is multiplied once and serves both.
class ExactEngine final : public NeighborEngine {
 public:
  NeighborLists Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                       std::size_t neighbors, std::size_t ranked, ThreadPool& pool) const override;
};

}  // namespace dimwatch
