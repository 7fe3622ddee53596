#include "src/knn/exact.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "src/knn/candidates.h"
#include "src/knn/products.h"
#include "src/knn/ranking.h"
#include "src/knn/tile.h"

namespace dimwatch {
namespace {

// Of one product, which stays in the cache while it is looked through.
constexpr std::size_t kTileRows = 256, kTileColumns = 384;
constexpr std::size_t kFillQueries = 64;    // whose lists one task fills
constexpr std::size_t kCenterPoints = 512;  // near enough to the mean of all against rounding

// Rows of a block. What it is multiplied by is copied for each block: many rows make that cheap.
// But few enough for the copy to be small, and for enough blocks to share among threads.
std::size_t BlockRows(std::size_t points, std::size_t dim) {
  return std::min(std::clamp<std::size_t>((4u << 20) / dim, 64, 1024),
                  std::max<std::size_t>(512, points / 20));
}

// Buffers that one task uses at a time.
struct Workspace {
  Workspace(std::size_t rows, std::size_t dim) {  // that left holds
    left.data.reserve(rows * dim);
    right.data.reserve(std::min(rows, kTileColumns) * dim);
    products.reserve(kTileRows * kTileColumns);
  }
  CenteredRows left, right;
  std::vector<float> products;
};

class WorkspacePool {
 public:
  WorkspacePool(std::size_t rows, std::size_t dim) : rows_(rows), dim_(dim) {}
  std::unique_ptr<Workspace> Take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Workspace>(rows_, dim_);
    std::unique_ptr<Workspace> workspace = std::move(idle_.back());
    idle_.pop_back();
    return workspace;
  }
  void Return(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(workspace));
  }

 private:
  const std::size_t rows_, dim_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> idle_;  // guarded by mutex_
};

// The part of a pair of blocks that is multiplied at once: rows [first_row, end_row) of the left
// block by a panel of columns. Rows from mutual_from on are offered to the columns, too.
struct Tile {
  std::size_t first_row, end_row, mutual_from;
  std::size_t first_column, columns;  // among all points
  // How many points the rows, and the columns, are compared with now that they were not before: for
  // the rows those of the panel, for the columns of the right block all rows of the left.
  std::size_t new_for_rows, new_for_columns;
  const float* panel;  // columns x dim
  const float* norms;  // of the columns
};

// Calls use(column) for every bit that is set.
template <typename Use>
void ForEachHit(std::span<const std::uint16_t> hits, const Use& use) {
  for (std::size_t word = 0; word < hits.size(); ++word) {
    for (unsigned left = hits[word]; left != 0; left &= left - 1) {
      use(word * kHitColumns + static_cast<std::size_t>(std::countr_zero(left)));
    }
  }
}

// The mean of some points, evenly spread.
std::vector<float> RoughCenter(const CloudRows& cloud) {
  const std::size_t count = std::min(cloud.points(), kCenterPoints);
  std::vector<double> sums(cloud.dim());
  for (std::size_t c = 0; c < count; ++c) {
    const float* const row = cloud.row(c * cloud.points() / count);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(row[i]);
  }
  std::vector<float> mean(cloud.dim());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    mean[i] = static_cast<float>(sums[i] / static_cast<double>(count));
  }
  return mean;
}

// Candidates for some points, the queries, from all points of a cloud.
//
// What is kept of the points seen so far is what a random sample of that size will very probably
// hold of the final candidates, and little more. Where that was too little, or rounding may have
// dropped a neighbor, Fill says no; so neither the order of the points nor that of the work nor
// chance has an effect on a list.
class BlockedSearch {
 public:
  BlockedSearch(const CloudRows& cloud, std::span<const std::uint32_t> queries, std::size_t keep)
      : cloud_(cloud),
        symmetric_(queries.size() == cloud.points()),
        points_(cloud.points()),
        queries_(symmetric_ ? std::span(points_) : queries),
        keep_(keep),
        block_rows_(BlockRows(cloud.points(), cloud.dim())),
        center_(RoughCenter(cloud)),
        norms_(queries.size()),
        seen_(Blocks(queries.size())),
        locks_(Blocks(queries.size())) {
    std::iota(points_.begin(), points_.end(), 0u);
    for (std::size_t block = 0; block < locks_.size(); ++block) {
      candidates_.emplace_back(BlockOf(queries_, block).size(), keep);
    }
  }

  void Run(ThreadPool& pool) {
    const std::vector<Strip> strips = Strips();
    WorkspacePool workspaces(std::min(block_rows_, queries_.size()),
                             cloud_.dim());  // gone before there are lists
    pool.ParallelFor(strips.size(), [&](std::size_t task) {
      const Strip& strip = strips[task];
      std::unique_ptr<Workspace> workspace = workspaces.Take();
      workspace->left.Load(cloud_, center_, BlockOf(queries_, strip.left));
      for (std::size_t i = strip.first; i < strip.end; ++i) {
        const std::size_t blocks = Blocks(points_.size()), right = (strip.left + i) % blocks;
        // Half round the circle: the same pair, the other way.
        if (symmetric_ && 2 * i == blocks && strip.left > right) continue;
        MultiplyBlocks(strip.left, right, *workspace);
      }
      workspaces.Return(std::move(workspace));
    });
  }

  // After Run: fills the lists, each of its own query. They take the place of the candidates.
  void Fill(NeighborLists& lists, ThreadPool& pool) {
    std::vector<std::atomic<std::size_t>> left(candidates_.size());  // queries of each block
    for (std::size_t b = 0; b < left.size(); ++b) left[b] = BlockOf(queries_, b).size();
    pool.ParallelFor((queries_.size() + kFillQueries - 1) / kFillQueries, [&](std::size_t task) {
      const std::size_t end = std::min(queries_.size(), (task + 1) * kFillQueries);
      for (std::size_t query = task * kFillQueries; query < end; ++query) {
        Fill(query, lists);
        const std::size_t block = query / block_rows_;
        if (--left[block] == 0) candidates_[block] = Candidates(0, keep_);
      }
    });
  }

 private:
  // The pairs of blocks (left, left + i), i in [first, end), round the circle of all blocks.
  struct Strip {
    std::size_t left, first, end;
  };

  // What is to be multiplied. If the queries are all points, every pair of blocks once, for both.
  // The shortest strips come last, so that no thread waits long for another at the end. Strips that
  // follow each other are far apart, so that they seldom wait for each other's blocks.
  std::vector<Strip> Strips() const {
    const std::size_t rows = Blocks(queries_.size()), columns = Blocks(points_.size());
    const std::size_t partners = symmetric_ ? rows / 2 + 1 : columns;
    std::size_t stride = rows * 5 / 8 + 1;
    while (std::gcd(stride, rows) != 1) ++stride;
    std::vector<Strip> strips;
    for (std::size_t first = 0, end = 0; first < partners; first = end) {
      end = first + std::max<std::size_t>(1, (partners - first) / 3);
      for (std::size_t i = 0; i < rows; ++i) strips.push_back({i * stride % rows, first, end});
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
                         static_cast<double>(points_.size());
    return std::min(keep_, static_cast<std::size_t>(share + 4.5 * std::sqrt(share) + 4));
  }

  // Of squares from a query up to `square`, or up to all that were kept. A point as near has no
  // larger norm than the sum of the query's and the distance.
  float Slack(float norm, float square, std::span<const float> kept) const {
    if (square == std::numeric_limits<float>::infinity()) {  // nothing was dropped
      square = *std::ranges::max_element(kept);
    }
    const float reach = std::sqrt(norm) + std::sqrt(square);
    return RoundingOfSquare(cloud_.dim(), norm, reach * reach);
  }

  // Where the candidates do not tell, by measuring all points.
  void Fill(std::size_t query, NeighborLists& lists) const {
    const Candidates& candidates = candidates_[query / block_rows_];
    const std::size_t row = query % block_rows_;
    RankingKeys keys(candidates.ids(row).size());
    for (std::size_t c = 0; c < keys.size(); ++c) {
      keys[c] = RankingKey(candidates.squares(row)[c], candidates.ids(row)[c]);
    }
    const float bound = candidates.bounds()[row];
    const float slack = Slack(norms_[query], bound, candidates.squares(row));
    if (FillList(cloud_, queries_[query], keys, slack, bound, query, lists)) return;
    keys = Measure(cloud_, queries_[query], points_);
    FillList(keys, query, lists);
  }

  // REQUIRES: workspace.left is loaded.
  void MultiplyBlocks(std::size_t left, std::size_t right, Workspace& workspace) {
    const bool same = symmetric_ && left == right;
    const std::span<const std::uint32_t> columns = BlockOf(points_, right);
    const std::size_t rows = workspace.left.norms.size();
    // Of the square where a panel meets its own rows all is multiplied, so narrow ones waste less.
    const std::size_t width = same ? kTileColumns / 4 : kTileColumns;
    for (std::size_t first = 0; first < columns.size(); first += width) {
      Tile tile{.first_row = 0,
                .end_row = 0,
                .mutual_from = symmetric_ ? 0 : rows,
                .first_column = right * block_rows_ + first,
                .columns = std::min(width, columns.size() - first),
                .new_for_rows = 0,
                .new_for_columns = 0,
                .panel = &workspace.left.data[first * cloud_.dim()],
                .norms = &workspace.left.norms[first]};
      if (same) {
        tile.first_row = first;  // above lies what was multiplied before
        tile.mutual_from = first + tile.columns;
      } else {
        workspace.right.Load(cloud_, center_, columns.subspan(first, tile.columns));
        tile.panel = workspace.right.data.data();
        tile.norms = workspace.right.norms.data();
      }
      if (first == 0) tile.new_for_columns = rows;
      for (tile.new_for_rows = tile.columns; tile.first_row < rows; tile.first_row = tile.end_row) {
        tile.end_row = std::min(rows, tile.first_row + kTileRows);
        workspace.products.resize((tile.end_row - tile.first_row) * tile.columns);
        MultiplyRows(&workspace.left.data[tile.first_row * cloud_.dim()],
                     tile.end_row - tile.first_row, tile.panel, tile.columns, cloud_.dim(), -2.0f,
                     workspace.products.data());
        std::unique_lock row_lock(locks_[left], std::defer_lock);
        if (symmetric_ && !same) {
          std::unique_lock column_lock(locks_[right], std::defer_lock);
          std::lock(row_lock, column_lock);
          Offer(workspace, left, right, tile);
        } else {
          row_lock.lock();
          Offer(workspace, left, right, tile);
        }
        tile.new_for_rows = tile.new_for_columns = 0;
      }
    }
  }

  // Completes a tile and offers it to its rows and columns.
  void Offer(Workspace& workspace, std::size_t left, std::size_t right, const Tile& tile) {
    static const std::vector<float> no_bounds(kTileColumns, -1);
    Candidates& of_rows = candidates_[left];
    Candidates& of_columns = candidates_[symmetric_ ? right : left];
    const std::size_t row_target = Target(left, tile.new_for_rows);
    const std::size_t column_target = symmetric_ ? Target(right, tile.new_for_columns) : 0;
    const std::size_t first_column = tile.first_column - right * block_rows_;
    std::array<std::uint16_t, kTileColumns / kHitColumns> row_hits, column_hits;
    const std::size_t words = (tile.columns + kHitColumns - 1) / kHitColumns;
    for (std::size_t i = tile.first_row; i < tile.end_row; ++i) {
      const std::size_t row = left * block_rows_ + i;
      norms_[row] = workspace.left.norms[i];
      const std::span squares =
          std::span(workspace.products).subspan((i - tile.first_row) * tile.columns, tile.columns);
      const float* const column_bounds =
          i < tile.mutual_from ? no_bounds.data() : of_columns.bounds() + first_column;
      CompleteTileRow(squares, norms_[row], tile.norms, of_rows.bounds()[i], column_bounds,
                      row_hits.data(), column_hits.data());
      // Wraps round where the point itself is left of the tile.
      const std::size_t own = queries_[row] - tile.first_column;
      if (own < tile.columns) {
        row_hits[own / kHitColumns] &= static_cast<std::uint16_t>(~(1u << own % kHitColumns));
      }
      ForEachHit(std::span(row_hits).first(words), [&](std::size_t j) {
        of_rows.Offer(i, squares[j], static_cast<std::uint32_t>(tile.first_column + j), row_target);
      });
      ForEachHit(std::span(column_hits).first(words), [&](std::size_t j) {
        of_columns.Offer(first_column + j, squares[j], static_cast<std::uint32_t>(row),
                         column_target);
      });
    }
  }

  const CloudRows& cloud_;
  const bool symmetric_;               // the queries are all points
  std::vector<std::uint32_t> points_;  // all
  const std::span<const std::uint32_t> queries_;
  const std::size_t keep_;
  const std::size_t block_rows_;
  const std::vector<float> center_;
  std::vector<float> norms_;            // of the queries
  std::vector<Candidates> candidates_;  // of each block of queries
  std::vector<std::size_t> seen_;       // points that each block was compared with
  std::vector<std::mutex> locks_;       // [b] guards what the three above hold of block b
};

}  // namespace

NeighborLists ExactEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                  std::size_t neighbors, std::size_t ranked,
                                  ThreadPool& pool) const {
  const std::size_t spare = std::max<std::size_t>(8, neighbors / 16);
  BlockedSearch search(cloud, queries, std::min(cloud.points() - 1, neighbors + spare));
  search.Run(pool);
  NeighborLists lists(queries.size(), neighbors, ranked);
  search.Fill(lists, pool);
  return lists;
}

}  // namespace dimwatch
