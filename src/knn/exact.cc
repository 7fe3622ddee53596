#include "src/knn/exact.h"

#include <cblas.h>

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
#include "src/knn/centroid.h"
#include "src/knn/ranking.h"
#include "src/knn/tile.h"

namespace dimwatch {
namespace {

constexpr std::size_t kTileColumns = 256;  // of one product; with 512 rows it stays in the cache

constexpr std::size_t kStrip = 4;       // blocks that one is multiplied by, once it is loaded
constexpr std::size_t kChunkRows = 64;  // whose lists one task fills

// Rows of a block: enough for the BLAS to be fast, few enough for a copy to be small.
std::size_t BlockRows(std::size_t dim) {
  return std::clamp<std::size_t>((2u << 20) / dim, 64, 512);
}

// Centered copies of some points, and their squared norms.
struct Block {
  void Load(const CloudRows& cloud, std::span<const float> center,
            std::span<const std::uint32_t> of_points);

  std::span<const std::uint32_t> points;
  std::vector<float> data;  // points x dim
  std::vector<float> norms;
};

void Block::Load(const CloudRows& cloud, std::span<const float> center,
                 std::span<const std::uint32_t> of_points) {
  const std::size_t dim = cloud.dim();
  points = of_points;
  data.resize(points.size() * dim);
  norms.resize(points.size());
  for (std::size_t r = 0; r < points.size(); ++r) {
    const float* const from = cloud.row(points[r]);
    float* const to = &data[r * dim];
    for (std::size_t i = 0; i < dim; ++i) to[i] = from[i] - center[i];
    norms[r] = cblas_sdot(static_cast<int>(dim), to, 1, to, 1);
  }
}

// Buffers that one task uses at a time.
struct Workspace {
  Block left, right;
  std::vector<float> tile;
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

// tile[i][j] becomes -2 times the inner product of row i of `left` and row first + j of `right`.
void MultiplyTile(const Block& left, const Block& right, std::size_t first, std::size_t columns,
                  std::size_t dim, std::vector<float>& tile) {
  tile.resize(left.points.size() * columns);
  const auto k = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(left.points.size()),
              static_cast<int>(columns), k, -2.0f, left.data.data(), k, &right.data[first * dim], k,
              0.0f, tile.data(), static_cast<int>(columns));
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

// Candidates for some points, the queries, from all points of a cloud.
//
// What is kept of the points seen so far is what a random sample of that size will very probably
// hold of the final candidates, and little more. Where that was too little, or rounding may have
// dropped a neighbor, Fill says no; so neither the order of the work nor chance has an effect on a
// list.
class BlockedSearch {
 public:
  BlockedSearch(const CloudRows& cloud, std::span<const std::uint32_t> queries, std::size_t keep,
                ThreadPool& pool)
      : cloud_(cloud),
        symmetric_(queries.size() == cloud.points()),
        order_(Shuffled(cloud.points())),
        position_(cloud.points()),
        queries_(symmetric_ ? order_ : std::vector(queries.begin(), queries.end())),
        keep_(keep),
        block_rows_(BlockRows(cloud.dim())),
        center_(Centroid(cloud, pool)),
        norms_(queries.size()),
        candidates_(queries.size(), keep),
        seen_(Blocks(queries.size())),
        locks_(Blocks(queries.size())) {
    for (std::uint32_t i = 0; i < order_.size(); ++i) position_[order_[i]] = i;
  }

  // If the queries are all points, every pair of blocks is multiplied once, (b, b + distance) round
  // the circle, for both.
  void Run(ThreadPool& pool) {
    const std::size_t rows = Blocks(queries_.size()), columns = Blocks(order_.size());
    const std::size_t partners = symmetric_ ? rows / 2 + 1 : columns;
    const std::size_t strips = (partners + kStrip - 1) / kStrip;
    WorkspacePool workspaces;  // gone before there are lists
    pool.ParallelFor(rows * strips, [&](std::size_t task) {
      const std::size_t left = task % rows, first = task / rows * kStrip;
      std::unique_ptr<Workspace> workspace = workspaces.Take();
      workspace->left.Load(cloud_, center_, BlockOf(queries_, left));
      for (std::size_t i = first; i < std::min(partners, first + kStrip); ++i) {
        const std::size_t right = symmetric_ ? (left + i) % rows : i;
        // Half round the circle: the same pair, the other way.
        if (symmetric_ && 2 * i == rows && left > right) continue;
        Multiply(left, right, *workspace);
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

  // Of squares up to `square`, or up to all that were kept: six standard deviations of the rounding
  // error of an inner product by random rounding. A point as near has no larger norm than the sum
  // of the query's and the distance.
  float Slack(std::size_t row, float square) const {
    using Limits = std::numeric_limits<float>;
    const auto dim = static_cast<float>(cloud_.dim());
    if (square == Limits::infinity()) {  // nothing was dropped
      square = 0;
      for (const float kept : candidates_.squares(row)) square = std::max(square, kept);
    }
    const float reach = std::sqrt(norms_[row]) + std::sqrt(square);
    return Limits::epsilon() * std::sqrt(dim) * (norms_[row] + reach * reach) +
           4 * dim * Limits::denorm_min();  // where squares underflow
  }

  // REQUIRES: workspace.left is loaded.
  void Multiply(std::size_t left, std::size_t right, Workspace& workspace) {
    const bool same = symmetric_ && left == right;
    const Block& a = workspace.left;
    if (!same) workspace.right.Load(cloud_, center_, BlockOf(order_, right));
    const Block& b = same ? a : workspace.right;
    for (std::size_t first = 0; first < b.points.size(); first += kTileColumns) {
      const std::size_t columns = std::min(kTileColumns, b.points.size() - first);
      MultiplyTile(a, b, first, columns, cloud_.dim(), workspace.tile);
      if (symmetric_ && !same) {
        const std::scoped_lock lock(locks_[left], locks_[right]);
        // A block's columns come in several tiles: each is a part of the rows seen.
        const std::size_t target = Target(right, first == 0 ? a.points.size() : 0);
        Offer(a, left, b, right, first, candidates_.bounds() + right * block_rows_ + first, target,
              workspace.tile);
      } else {
        static const std::vector<float> no_bounds(kTileColumns, -1);
        const std::lock_guard lock(locks_[left]);
        Offer(a, left, b, right, first, no_bounds.data(), 0, workspace.tile);
      }
    }
  }

  // Offers a tile, columns from `first` on of the right block, to its rows and its columns.
  void Offer(const Block& a, std::size_t left, const Block& b, std::size_t right, std::size_t first,
             const float* column_bounds, std::size_t column_target, std::vector<float>& tile) {
    const std::size_t first_row = left * block_rows_, first_column = right * block_rows_ + first;
    const std::size_t columns = tile.size() / a.points.size();
    const std::size_t target = Target(left, columns);
    std::array<std::uint16_t, kTileColumns / kHitColumns> row_hits, column_hits;
    const std::size_t words = (columns + kHitColumns - 1) / kHitColumns;
    for (std::size_t i = 0; i < a.points.size(); ++i) {
      const std::size_t row = first_row + i;
      norms_[row] = a.norms[i];
      const std::span squares = std::span(tile).subspan(i * columns, columns);
      CompleteTileRow(squares, a.norms[i], &b.norms[first], candidates_.bounds()[row],
                      column_bounds, row_hits.data(), column_hits.data());
      // Wraps round where the point itself is left of the tile.
      const std::size_t own = position_[a.points[i]] - first_column;
      if (own < columns) {
        row_hits[own / kHitColumns] &= static_cast<std::uint16_t>(~(1u << own % kHitColumns));
      }
      ForEachHit(std::span(row_hits).first(words), [&](std::size_t j) {
        candidates_.Offer(row, squares[j], static_cast<std::uint32_t>(first_column + j), target);
      });
      ForEachHit(std::span(column_hits).first(words), [&](std::size_t j) {
        candidates_.Offer(first_column + j, squares[j], static_cast<std::uint32_t>(row),
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
  static const bool one_blas_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_blas_thread);
  const std::size_t spare = std::max<std::size_t>(8, neighbors / 16);
  BlockedSearch search(cloud, queries, std::min(cloud.points() - 1, neighbors + spare), pool);
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
