// How much an approximate search has missed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/neighbor_lists.h"

namespace dimwatch {

// Queries that are searched exactly to measure the recall.
inline constexpr std::size_t kCanaryQueries = 100;

// A share of true neighbors, with the ends of its 95 % interval.
struct Recall {
  double ratio = 1;
  double low = 1;
  double high = 1;
  friend bool operator==(const Recall&, const Recall&) = default;
};

// The interval of the mean of `ratios`, each the share that one query found of its `neighbors`.
// Misses come in clusters (a query that misses one neighbor misses more), so the queries are the
// sample, not the neighbors: Wilson's interval (1927) for as many independent trials as give the
// variance between the queries (Korn & Graubard 1998). A normal interval would be empty where no
// query missed anything; here a neighbor counts as a quarter of a trial at most, which is what
// clusters leave of it where misses are seen. REQUIRES: ratios not empty.
Recall RecallOf(std::span<const double> ratios, std::size_t neighbors);

// The share of true neighbors that each of kCanaryQueries random ones of `queries` has in its list
// (all, where there are fewer). An entry counts that is no farther than the true last neighbor.
// REQUIRES: at least one query; list q belongs to queries[q].
std::vector<double> CanaryRatios(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                 const NeighborLists& lists, std::uint64_t seed, ThreadPool& pool);

// RecallOf these.
Recall MeasureRecall(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                     const NeighborLists& lists, std::uint64_t seed, ThreadPool& pool);

}  // namespace dimwatch
