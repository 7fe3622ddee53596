// Approximate nearest neighbors by graphs (hnsw_graph.h), for clouds too large for all pairs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/knn/hnsw_graph.h"
#include "src/knn/neighbor_engine.h"
#include "src/knn/parts_search.h"

namespace dimwatch {

// What can be searched for approximate lists. Not thread-safe, but Search runs on the pool.
class ApproximateIndex {
 public:
  virtual ~ApproximateIndex() = default;
  // As NeighborEngine::Search, with all entries ranked. A list may miss neighbors (recall.h
  // measures how many). Points that the graphs do not reach are searched exactly.
  virtual NeighborLists Search(std::span<const std::uint32_t> queries, std::size_t neighbors,
                               std::size_t effort, ThreadPool& pool) const = 0;
};

// A cloud at rest, split into kMostParts graphs, if it is not small, which are built at the same
// time and searched together. The same cloud and seed give the same lists, for any number of
// threads.
//
// Two parts make the best of two threads: at 10 000 points of 768 components one graph took 0.78 ms
// a point to build and 1.17 ms to search; two took 0.48 and 1.69; four took 0.21 and 2.17.
inline constexpr std::size_t kMostParts = 2;
class CloudIndex final : public ApproximateIndex {
 public:
  // `cloud` must outlive it.
  CloudIndex(const CloudRows& cloud, std::uint64_t seed, ThreadPool& pool);
  NeighborLists Search(std::span<const std::uint32_t> queries, std::size_t neighbors,
                       std::size_t effort, ThreadPool& pool) const override;

 private:
  const CloudRows& cloud_;
  std::vector<std::uint32_t> points_;
  std::vector<std::optional<HnswGraph>> graphs_;
  std::vector<GraphPart> parts_;
};

// A CloudIndex for each search.
class HnswEngine final : public NeighborEngine {
 public:
  explicit HnswEngine(std::uint64_t seed, std::size_t effort = 1) : seed_(seed), effort_(effort) {}

  NeighborLists Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                       std::size_t neighbors, std::size_t ranked, ThreadPool& pool) const override;

 private:
  std::uint64_t seed_;
  std::size_t effort_;
};

}  // namespace dimwatch
