// Several graphs searched as one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/hnsw_graph.h"
#include "src/knn/neighbor_lists.h"
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

  // Adds the points found near `row`, but for `point`, to `keys`
  // of points found elsewhere, and leaves the nearest in ascending order, each once. `home`: where
  // the row itself is, if in a graph.
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

// Adds, for each of `points`, keys of points that are in no graph, by their rough squares.
using FindElsewhere =
    std::function<void(std::span<const std::uint32_t> points, std::span<RankingKeys> keys)>;

// The lists of `queries`, all entries ranked by SquaredDistance. What the parts hold and, unless it
// is empty, `elsewhere` finds are points of the cloud. A query for which they give too few points
// (a graph that falls apart) is searched exactly. Does not depend on the number of threads.
NeighborLists SearchParts(const CloudRows& cloud, std::span<const GraphPart> parts,
                          std::span<const std::uint32_t> queries, std::size_t neighbors,
                          std::size_t effort, const FindElsewhere& elsewhere, ThreadPool& pool);

}  // namespace dimwatch
