// Nearest-neighbor search over a cloud at rest. Two engines: exact.h and hnsw.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/neighbor_lists.h"

namespace dimwatch {

// Guaranteed by every engine:
//  1. Ranked entries carry distances of SquaredDistance, never of an expansion.
//  2. The same points give the same lists for any number of threads, but for the order of entries
//     that are not ranked.
// Thread-safe.
class NeighborEngine {
 public:
  virtual ~NeighborEngine() = default;

  // The `neighbors` nearest other points of each of `queries`, list q for point queries[q], of
  // which the `ranked` nearest, or more, are ranked: to rank an entry takes longer than to find it.
  // The neighbors come from the whole cloud. REQUIRES: all components finite; queries ascending,
  // each once; 0 < ranked <= neighbors < cloud.points().
  virtual NeighborLists Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                               std::size_t neighbors, std::size_t ranked,
                               ThreadPool& pool) const = 0;
};

}  // namespace dimwatch
