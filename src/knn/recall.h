// How much an approximate search has missed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/neighbor_lists.h"

namespace dimwatch {

// Queries that are searched exactly to measure the recall.
inline constexpr std::size_t kCanaryQueries = 100;

// The share of true neighbors that `lists` hold, over kCanaryQueries random ones of `queries` (all,
// where there are fewer). An entry counts that is no farther than the true last neighbor.
// REQUIRES: at least one query; list q belongs to queries[q].
double MeasureRecall(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                     const NeighborLists& lists, std::uint64_t seed, ThreadPool& pool);

}  // namespace dimwatch
