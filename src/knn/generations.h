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
// searched exactly. All rows in graphs are rows of the window, so no list is shortened by expired
// ones.
//
// Which rows make up a generation follows from the segments held alone: not from when a graph was
// built, nor from what was held before. So a restarted process, or one that went another way to
// the same window, has the same generations, and builds the same graphs: each from its rows in
// order of arrival, by one seed, on one thread. The lists do not depend on the number of threads.
// Not thread-safe.
class Generations {
 public:
  // Some rows of the window that came one after the other, and stay where they are as long as they
  // are held.
  struct Batch {
    std::int64_t seq = 0;         // ascending: whose it is, as long as it is held
    std::int64_t segment = 0;     // 0 or more, not descending: no generation ends within one
    std::span<const float> rows;  // rows x dim; may hold NaN and duplicates
  };
  // The first and the last batch of a generation.
  struct Extent {
    std::int64_t first = 0, last = 0;
    friend bool operator==(const Extent&, const Extent&) = default;
  };

  // REQUIRES: all > 0 but the seed. A generation has at most `most_rows`, more than half as many,
  // or is a single segment that has more.
  Generations(std::size_t dim, std::size_t most_rows, std::uint64_t seed);

  // `held`: all rows of the window, oldest first. Drops what no longer is a generation and builds
  // the graphs of what is one now, several at the same time.
  void Update(std::span<const Batch> held, ThreadPool& pool);
  // Of the last update, oldest first; and the rows in them.
  std::vector<Extent> layout() const;
  std::size_t rows() const;
  // An index of points of the window, whose rows are those of the last update. `cloud` must outlive
  // it, and it may not be used after the next update.
  std::unique_ptr<ApproximateIndex> IndexOf(const CloudRows& cloud) const;

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

  void Build(std::span<const Batch> batches, Generation& generation) const;

  const std::size_t dim_;
  const std::size_t most_rows_;
  const std::uint64_t seed_;
  std::vector<Generation> generations_;  // oldest first
};

// The generations of a window, a function of its segments: a block of 2^k segments whose number
// begins with a multiple of 2^k is one if it has more than `most_rows` / 2 rows while neither half
// of it has, a later segment has begun, and an earlier row is held (else rows of it may be gone).
std::vector<Generations::Extent> LayOutGenerations(std::span<const Generations::Batch> held,
                                                   std::size_t dim, std::size_t most_rows);

// What the generations of a window of so many rows take, about, without the rows.
std::int64_t GenerationsBytes(std::size_t rows);

}  // namespace dimwatch
