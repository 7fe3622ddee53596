// Approximate nearest neighbors by graphs (hnsw_graph.h), for clouds too large for all pairs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/knn/hnsw_graph.h"
#include "src/knn/neighbor_engine.h"
#include "src/knn/ranking.h"

namespace dimwatch {

// One graph among several that are searched together.
struct GraphPart {
  static constexpr std::uint32_t kNoPoint = 0xffffffff;
  const HnswGraph* graph = nullptr;
  std::span<const std::uint32_t> points;  // by node; kNoPoint for one that is passed over
};

// How far a search goes: of a graph that holds `wanted` of the nearest, so many nodes are kept.
// Effort 1 finds 99 % and more of 128 neighbors in up to 20 intrinsic dimensions; effort 2 keeps
// twice as many.
constexpr std::size_t SearchBreadth(std::size_t wanted, std::size_t effort) {
  return effort * std::max<std::size_t>(64, wanted + wanted / 4 + 32);
}

// Searches several graphs for the nearest of all their points. Every graph is first searched for
// its share; one that turns out to hold more than that is searched again, so a list is as good
// where one graph holds all neighbors (a stream that drifts) as where each holds its share. Not
// thread-safe: one for each thread.
class PartsSearch {
 public:
  struct Home {
    std::size_t part = 0;
    std::uint32_t node = 0;
  };

  // REQUIRES: graphs are not empty.
  PartsSearch(std::span<const GraphPart> parts, std::size_t neighbors, std::size_t effort);

  // Squares are rough (hnsw_graph.h). Adds the points found near `row`, but for `point`, to `keys`
  // of points found elsewhere, and leaves them in ascending order, each once. `home`: where the row
  // itself is, if in a graph.
  void Find(const float* row, std::uint32_t point, std::optional<Home> home, RankingKeys& keys);

 private:
  // The same of one part alone, which replaces `found`.
  void SearchPart(std::size_t part, std::size_t breadth, const float* row, std::uint32_t point,
                  std::optional<Home> home, RankingKeys& found);

  std::span<const GraphPart> parts_;
  std::size_t wanted_;
  std::size_t effort_;
  std::size_t nodes_ = 0;
  HnswGraph::Workspace workspace_;
};

// Splits a cloud into two parts, builds a graph of each on a thread of its own, and searches
// them together. How a cloud is split depends on its size alone. A list may miss neighbors
// (recall.h measures how many); all entries are ranked, with true distances. A cloud whose graphs
// fall apart is searched point by point where they do.
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
