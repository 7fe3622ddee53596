#include "src/knn/exact.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "src/knn/candidates.h"
#include "src/knn/products.h"
#include "src/knn/ranking.h"
#include "src/knn/tile.h"

namespace dimwatch {
namespace {

constexpr std::size_t kTileColumns = 512;   // of one product
constexpr std::size_t kChunkRows = 64;      // whose lists one task fills
constexpr std::size_t kCenterPoints = 512;  // near enough to the mean of all against rounding

// Rows of a block. What it is multiplied by is copied for each block: many rows make that cheap.
// But few enough for the copy to be small, and for enough blocks to share among threads.
std::size_t BlockRows(std::size_t points, std::size_t dim) {
  return std::min(std::clamp<std::size_t>((4u << 20) / dim, 64, 1024),
                  std::max<std::size_t>(512, points / 16));
}

// Buffers that one task uses at a time.
struct Workspace {
  CenteredRows left, right;
  std::vector<float> products;
};

class WorkspacePool {
 public:
  std::unique_ptr<Workspace> Take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Workspace>();
    std::unique_ptr<Workspace> workspace = std::move(idle_.back());
    idle_.pop_back();
    return workspace;
  }
  void Return(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;  // guarded by mutex_
};

// The part of a pair of blocks that is multiplied at once: rows [first_row, end_row) of the left
// block by a panel of columns. Those from mutual_from on are offered to the columns, too.
struct Tile {
  std::size_t first_row, end_row, mutual_from;
  std::size_t first_column, columns;  // among all columns
  const float* panel;                 // columns x dim
  const float* norms;                 // of the columns
};

// products[i][j] becomes -2 times the inner product of row first_row + i and column j.
void Multiply(const CenteredRows& left, const Tile& tile, std::size_t dim,
              std::vector<float>& products) {
  const std::size_t rows = tile.end_row - tile.first_row;
  products.resize(rows * tile.columns);
  MultiplyRows(&left.data[tile.first_row * dim], rows, tile.panel, tile.columns, dim, -2.0f,
               products.data());
}

// Calls use(column) for every bit that is set.
template <typename Use>
void ForEachHit(std::span<const std::uint16_t> hits, const Use& use) {
  for (std::size_t word = 0; word < hits.size(); ++word) {
    for (unsigned left = hits[word]; left != 0; left &= left - 1) {
      use(word * kHitColumns + static_cast<std::size_t>(std::countr_zero(left)));
    }
  }
}

// All points in a random order, so that those seen first are a fair sample of all.
std::vector<std::uint32_t> Shuffled(std::size_t points) {
  std::vector<std::uint32_t> order(points);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  return order;
}

// The mean of these points.
std::vector<float> MeanOf(const CloudRows& cloud, std::span<const std::uint32_t> points) {
  std::vector<double> sums(cloud.dim());
  for (const std::uint32_t point : points) {
    const float* const row = cloud.row(point);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(row[i]);
  }
  std::vector<float> mean(cloud.dim());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    mean[i] = static_cast<float>(sums[i] / static_cast<double>(points.size()));
  }
  return mean;
}

// Candidates for some points, the queries, from all points of a cloud.
//
// What is kept of the points seen so far is what a random sample of that size will very probably
// hold of the final candidates, and little more. Where that was too little, or rounding may have
// dropped a neighbor, Fill says no; so neither the order of the work nor chance has an effect on a
// list.
class BlockedSearch {
 public:
  BlockedSearch(const CloudRows& cloud, std::span<const std::uint32_t> queries, std::size_t keep)
      : cloud_(cloud),
        symmetric_(queries.size() == cloud.points()),
        order_(Shuffled(cloud.points())),
        position_(cloud.points()),
        queries_(symmetric_ ? order_ : std::vector(queries.begin(), queries.end())),
        keep_(keep),
        block_rows_(BlockRows(cloud.points(), cloud.dim())),
        center_(MeanOf(cloud, std::span(order_).first(std::min(order_.size(), kCenterPoints)))),
        norms_(queries.size()),
        candidates_(queries.size(), keep),
        seen_(Blocks(queries.size())),
        locks_(Blocks(queries.size())) {
    for (std::uint32_t i = 0; i < order_.size(); ++i) position_[order_[i]] = i;
  }

  void Run(ThreadPool& pool) {
    const std::vector<Strip> strips = Strips();
    WorkspacePool workspaces;  // gone before there are lists
    pool.ParallelFor(strips.size(), [&](std::size_t task) {
      const Strip& strip = strips[task];
      std::unique_ptr<Workspace> workspace = workspaces.Take();
      workspace->left.Load(cloud_, center_, BlockOf(queries_, strip.left));
      for (std::size_t i = strip.first; i < strip.end; ++i) {
        const std::size_t blocks = Blocks(order_.size()), right = (strip.left + i) % blocks;
        // Half round the circle: the same pair, the other way.
        if (symmetric_ && 2 * i == blocks && strip.left > right) continue;
        MultiplyBlocks(strip.left, right, *workspace);
      }
      workspaces.Return(std::move(workspace));
    });
  }

  // Row r of what follows is about this point. All queries, each once.
  std::span<const std::uint32_t> queries() const { return queries_; }

  // After Run: fills list `query` of `lists` with the candidates of a row. False, with nothing
  // filled, where a neighbor may have been dropped.
  bool Fill(std::size_t row, std::size_t query, NeighborLists& lists) const {
    const std::span<const float> squares = candidates_.squares(row);
    const std::span<const std::uint32_t> ids = candidates_.ids(row);
    RankingKeys keys(squares.size());
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = RankingKey(squares[i], order_[ids[i]]);
    const float bound = candidates_.bounds()[row];
    return FillList(cloud_, queries_[row], keys, Slack(row, bound), bound, query, lists);
  }

 private:
  // The pairs of blocks (left, left + i), i in [first, end), round the circle of all blocks.
  struct Strip {
    std::size_t left, first, end;
  };

  // What is to be multiplied. If the queries are all points, every pair of blocks once, for both.
  // The shortest strips come last, so that no thread waits long for another.
  std::vector<Strip> Strips() const {
    const std::size_t rows = Blocks(queries_.size()), columns = Blocks(order_.size());
    const std::size_t partners = symmetric_ ? rows / 2 + 1 : columns;
    std::vector<Strip> strips;
    for (std::size_t first = 0, end = 0; first < partners; first = end) {
      end = first + std::max<std::size_t>(1, (partners - first) / 3);
      for (std::size_t left = 0; left < rows; ++left) strips.push_back({left, first, end});
    }
    return strips;
  }

  std::size_t Blocks(std::size_t rows) const { return (rows + block_rows_ - 1) / block_rows_; }

  std::span<const std::uint32_t> BlockOf(std::span<const std::uint32_t> all,
                                         std::size_t block) const {
    const std::size_t begin = block * block_rows_;
    return all.subspan(begin, std::min(block_rows_, all.size() - begin));
  }

  // How many of the points seen a row must keep, after `more` others: their share of the final
  // candidates and four and a half standard deviations.
  std::size_t Target(std::size_t block, std::size_t more) {
    seen_[block] += more;
    const double share = static_cast<double>(keep_) * static_cast<double>(seen_[block]) /
                         static_cast<double>(order_.size());
    return std::min(keep_, static_cast<std::size_t>(share + 4.5 * std::sqrt(share) + 4));
  }

  // Of squares up to `square`, or up to all that were kept. A point as near has no larger norm than
  // the sum of the query's and the distance.
  float Slack(std::size_t row, float square) const {
    if (square == std::numeric_limits<float>::infinity()) {  // nothing was dropped
      square = 0;
      for (const float kept : candidates_.squares(row)) square = std::max(square, kept);
    }
    const float reach = std::sqrt(norms_[row]) + std::sqrt(square);
    return RoundingOfSquare(cloud_.dim(), norms_[row], reach * reach);
  }

  // REQUIRES: workspace.left is loaded.
  void MultiplyBlocks(std::size_t left, std::size_t right, Workspace& workspace) {
    const bool same = symmetric_ && left == right;
    const std::span<const std::uint32_t> columns = BlockOf(order_, right);
    // Of the square where a panel meets its own rows all is multiplied, so narrow ones waste less.
    const std::size_t width = same ? kTileColumns / 4 : kTileColumns;
    for (std::size_t first = 0; first < columns.size(); first += width) {
      Tile tile{.first_row = same ? first : 0,  // above lies what was multiplied before
                .end_row = workspace.left.norms.size(),
                .mutual_from = 0,
                .first_column = right * block_rows_ + first,
                .columns = std::min(width, columns.size() - first),
                .panel = &workspace.left.data[first * cloud_.dim()],
                .norms = &workspace.left.norms[first]};
      if (!same) {
        workspace.right.Load(cloud_, center_, columns.subspan(first, tile.columns));
        tile.panel = workspace.right.data.data();
        tile.norms = workspace.right.norms.data();
      }
      if (!symmetric_) tile.mutual_from = tile.end_row;
      if (same) tile.mutual_from = std::min(tile.end_row, first + tile.columns);
      Multiply(workspace.left, tile, cloud_.dim(), workspace.products);
      std::unique_lock row_lock(locks_[left], std::defer_lock);
      if (symmetric_ && !same) {
        std::unique_lock column_lock(locks_[right], std::defer_lock);
        std::lock(row_lock, column_lock);
        Offer(workspace, left, right, tile, first == 0);
      } else {
        row_lock.lock();
        Offer(workspace, left, right, tile, first == 0);
      }
    }
  }

  // Completes a tile and offers it to its rows and columns. `first`: of this pair of blocks.
  void Offer(Workspace& workspace, std::size_t left, std::size_t right, const Tile& tile,
             bool first) {
    static const std::vector<float> no_bounds(kTileColumns, -1);
    // A panel is a part of what the rows are compared with, but the rows are all that the columns
    // of the right block are.
    const std::size_t row_target = Target(left, tile.columns);
    const std::size_t column_target =
        symmetric_ ? Target(right, first ? workspace.left.norms.size() : 0) : 0;
    std::array<std::uint16_t, kTileColumns / kHitColumns> row_hits, column_hits;
    const std::size_t words = (tile.columns + kHitColumns - 1) / kHitColumns;
    for (std::size_t i = tile.first_row; i < tile.end_row; ++i) {
      const std::size_t row = left * block_rows_ + i;
      norms_[row] = workspace.left.norms[i];
      const std::span squares =
          std::span(workspace.products).subspan((i - tile.first_row) * tile.columns, tile.columns);
      const float* const column_bounds =
          i < tile.mutual_from ? no_bounds.data() : candidates_.bounds() + tile.first_column;
      CompleteTileRow(squares, norms_[row], tile.norms, candidates_.bounds()[row], column_bounds,
                      row_hits.data(), column_hits.data());
      // Wraps round where the point itself is left of the tile.
      const std::size_t own = position_[queries_[row]] - tile.first_column;
      if (own < tile.columns) {
        row_hits[own / kHitColumns] &= static_cast<std::uint16_t>(~(1u << own % kHitColumns));
      }
      ForEachHit(std::span(row_hits).first(words), [&](std::size_t j) {
        candidates_.Offer(row, squares[j], static_cast<std::uint32_t>(tile.first_column + j),
                          row_target);
      });
      ForEachHit(std::span(column_hits).first(words), [&](std::size_t j) {
        candidates_.Offer(tile.first_column + j, squares[j], static_cast<std::uint32_t>(row),
                          column_target);
      });
    }
  }

  const CloudRows& cloud_;
  const bool symmetric_;
  const std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> position_;  // of a point in order_
  const std::vector<std::uint32_t> queries_;
  const std::size_t keep_;
  const std::size_t block_rows_;
  const std::vector<float> center_;
  std::vector<float> norms_;       // of the queries; entries of block b guarded by locks_[b]
  Candidates candidates_;          // rows of block b guarded by locks_[b], ids are positions
  std::vector<std::size_t> seen_;  // points that block b was compared with, guarded by locks_[b]
  std::vector<std::mutex> locks_;  // one for each block of queries
};

}  // namespace

NeighborLists ExactEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                  std::size_t neighbors, std::size_t ranked,
                                  ThreadPool& pool) const {
  const std::size_t spare = std::max<std::size_t>(8, neighbors / 16);
  BlockedSearch search(cloud, queries, std::min(cloud.points() - 1, neighbors + spare));
  search.Run(pool);
  NeighborLists lists(queries.size(), neighbors, ranked);
  std::vector<std::uint32_t> all(cloud.points());
  std::iota(all.begin(), all.end(), 0u);
  pool.ParallelFor((queries.size() + kChunkRows - 1) / kChunkRows, [&](std::size_t chunk) {
    const std::size_t end = std::min(queries.size(), (chunk + 1) * kChunkRows);
    for (std::size_t row = chunk * kChunkRows; row < end; ++row) {
      const std::uint32_t point = search.queries()[row];
      const std::size_t query = queries.size() == cloud.points() ? point : row;
      if (search.Fill(row, query, lists)) continue;
      RankingKeys keys = Measure(cloud, point, all);
      FillList(keys, query, lists);
    }
  });
  return lists;
}

}  // namespace dimwatch
