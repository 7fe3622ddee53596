// The graphs of a rolling window: sealed generations of rows, dropped whole when their first row
// expires. Nothing is ever removed from a graph, or changed in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/hnsw.h"
#include "src/knn/hnsw_graph.h"

namespace dimwatch {

// The newest rows, and the oldest ones whose generation has begun to expire, are in no graph and
// searched exactly: together always about as many as one generation has. All rows in graphs are
// rows of the window, so no list is shortened by expired ones.
//
// Which batches make up a generation follows from the layout before and the batches held; so a
// restarted process that is told the layout goes on with the same graphs. Each is built on
// one thread, in order of arrival: the lists do not depend on the number of threads. Not
// thread-safe.
class Generations {
 public:
  // One batch of the window with all its rows, which stay where they are as long as it is held.
  struct Batch {
    std::int64_t seq = 0;         // ascending
    std::span<const float> rows;  // rows x dim; may hold NaN and duplicates
  };
  // The first and the last batch of a generation.
  struct Extent {
    std::int64_t first = 0, last = 0;
    friend bool operator==(const Extent&, const Extent&) = default;
  };

  // A generation is sealed by the batch that brings it to `generation_rows` rows. REQUIRES: all >
  // 0.
  Generations(std::size_t dim, std::size_t generation_rows, std::uint64_t seed);

  // Before the first Update, or after a rewind.
  void Restore(std::span<const Extent> layout);
  std::vector<Extent> layout() const;

  // `held`: the batches that are whole, oldest first. Drops the generations that miss a batch,
  // seals new ones and builds their graphs, several at the same time.
  void Update(std::span<const Batch> held, ThreadPool& pool);
  // An index of points of the window, whose rows are `rows_before` rows and then those held at the
  // last update. `cloud` must outlive it, and it may not be used after the next update.
  std::unique_ptr<ApproximateIndex> IndexOf(const CloudRows& cloud, std::size_t rows_before) const;

  // Of the graphs, about.
  std::int64_t bytes() const;

 private:
  struct Generation {
    Extent extent;
    std::size_t first_row = 0;         // among those held
    std::vector<std::uint32_t> nodes;  // by row: its own or that of an equal row, or kNoPoint
    std::unique_ptr<HnswGraph> graph;
  };
  class Index;

  void Drop(std::span<const Batch> held);
  void Seal(std::span<const Batch> held);
  void Build(std::span<const Batch> held, Generation& generation) const;

  const std::size_t dim_;
  const std::size_t generation_rows_;
  const std::uint64_t seed_;
  std::vector<Generation> generations_;  // one behind the other
};

}  // namespace dimwatch
