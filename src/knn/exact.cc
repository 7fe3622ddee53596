#include "src/knn/exact.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "src/knn/candidates.h"
#include "src/knn/centroid.h"
#include "src/knn/ranking.h"

namespace dimwatch {
namespace {

constexpr std::size_t kTileColumns = 256;  // of one product; with 512 rows it stays in the cache

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

// tile[i][j] becomes the squared distance of row i of `left` and row first + j of `right`.
void MultiplyTile(const Block& left, const Block& right, std::size_t first, std::size_t columns,
                  std::size_t dim, std::vector<float>& tile) {
  tile.resize(left.points.size() * columns);
  const auto k = static_cast<int>(dim);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(left.points.size()),
              static_cast<int>(columns), k, -2.0f, left.data.data(), k, &right.data[first * dim], k,
              0.0f, tile.data(), static_cast<int>(columns));
}

void AddNorms(float* tile_row, float norm, const float* norms, std::size_t columns) {
  for (std::size_t j = 0; j < columns; ++j) {
    const float distance = (norm + norms[j]) + tile_row[j];
    tile_row[j] = distance > 0 ? distance : 0;
  }
}

void OfferColumns(const float* tile_row, std::size_t columns, std::size_t first_row,
                  std::uint32_t id, Candidates& candidates) {
  const float* const bounds = candidates.bounds() + first_row;
  constexpr std::size_t kRun = Candidates::kRun;
  std::size_t j = 0;
  for (; j + kRun <= columns; j += kRun) {
    int any = 0;
    for (std::size_t r = 0; r < kRun; ++r) any |= tile_row[j + r] <= bounds[j + r];
    if (any == 0) continue;
    for (std::size_t r = 0; r < kRun; ++r) {
      candidates.Offer(first_row + j + r, tile_row[j + r], id);
    }
  }
  for (; j < columns; ++j) candidates.Offer(first_row + j, tile_row[j], id);
}

// Candidates for some points, the queries, from all points of a cloud.
class BlockedSearch {
 public:
  BlockedSearch(const CloudRows& cloud, std::span<const std::uint32_t> queries, std::size_t keep,
                ThreadPool& pool)
      : cloud_(cloud),
        queries_(queries),
        points_(cloud.points()),
        block_rows_(BlockRows(cloud.dim())),
        center_(Centroid(cloud, pool)),
        norms_(queries.size()),
        candidates_(queries.size(), keep),
        locks_(Blocks(queries.size())) {
    std::iota(points_.begin(), points_.end(), 0u);
  }

  // REQUIRES: the queries are all points. Multiplies every pair of blocks once, (b, b + distance)
  // round the circle, for both.
  void RunSymmetric(ThreadPool& pool) {
    const std::size_t blocks = Blocks(points_.size());
    pool.ParallelFor(blocks * (blocks / 2 + 1), [&](std::size_t task) {
      const std::size_t distance = task / blocks, one = task % blocks;
      const std::size_t other = (one + distance) % blocks;
      if (2 * distance == blocks && one > other) return;  // the same pair, the other way
      Multiply(std::min(one, other), std::max(one, other), true);
    });
  }

  void Run(ThreadPool& pool) {
    const std::size_t rows = Blocks(queries_.size()), columns = Blocks(points_.size());
    pool.ParallelFor(rows * columns,
                     [&](std::size_t task) { Multiply(task % rows, task / rows, false); });
  }

  std::span<const std::uint32_t> points() const { return points_; }
  std::span<const std::uint32_t> Finish(std::size_t query) { return candidates_.Finish(query); }

  // After Finish: whether no point outside the candidates can be as near as `distance`, squared,
  // is. Six standard deviations of the rounding error of an inner product by random rounding; a
  // point as near has no larger norm than the sum of the query's and the distance.
  bool Certifies(std::size_t query, float distance) const {
    using Limits = std::numeric_limits<float>;
    const float reach = std::sqrt(norms_[query]) + std::sqrt(distance);
    const auto dim = static_cast<float>(cloud_.dim());
    const float error = Limits::epsilon() * std::sqrt(dim) * (norms_[query] + reach * reach) +
                        4 * dim * Limits::denorm_min();  // where squares underflow
    return distance < candidates_.bounds()[query] - error;
  }

 private:
  std::size_t Blocks(std::size_t rows) const { return (rows + block_rows_ - 1) / block_rows_; }

  std::span<const std::uint32_t> BlockOf(std::span<const std::uint32_t> all,
                                         std::size_t block) const {
    const std::size_t begin = block * block_rows_;
    return all.subspan(begin, std::min(block_rows_, all.size() - begin));
  }

  void Multiply(std::size_t left, std::size_t right, bool symmetric) {
    std::unique_ptr<Workspace> workspace = workspaces_.Take();
    const bool same = symmetric && left == right;
    Block& a = workspace->left;
    a.Load(cloud_, center_, BlockOf(queries_, left));
    if (!same) workspace->right.Load(cloud_, center_, BlockOf(points_, right));
    const Block& b = same ? a : workspace->right;
    for (std::size_t first = 0; first < b.points.size(); first += kTileColumns) {
      const std::size_t columns = std::min(kTileColumns, b.points.size() - first);
      MultiplyTile(a, b, first, columns, cloud_.dim(), workspace->tile);
      OfferToLeft(a, left, b, first, columns, workspace->tile);
      if (symmetric && !same) OfferToRight(a, b, right, first, columns, workspace->tile);
    }
    workspaces_.Return(std::move(workspace));
  }

  // Completes the tile on the way.
  void OfferToLeft(const Block& a, std::size_t left, const Block& b, std::size_t first,
                   std::size_t columns, std::vector<float>& tile) {
    const std::uint32_t first_id = b.points[first];
    const std::size_t first_row = left * block_rows_;
    const std::lock_guard lock(locks_[left]);
    for (std::size_t i = 0; i < a.points.size(); ++i) {
      float* const row = &tile[i * columns];
      AddNorms(row, a.norms[i], &b.norms[first], columns);
      const std::size_t own = a.points[i] - first_id;  // wraps round where it is left of the tile
      if (own < columns) row[own] = std::numeric_limits<float>::infinity();
      candidates_.OfferAll(first_row + i, row, columns, first_id);
      norms_[first_row + i] = a.norms[i];
    }
  }

  void OfferToRight(const Block& a, const Block& b, std::size_t right, std::size_t first,
                    std::size_t columns, const std::vector<float>& tile) {
    const std::lock_guard lock(locks_[right]);
    for (std::size_t i = 0; i < a.points.size(); ++i) {
      OfferColumns(&tile[i * columns], columns, b.points[first], a.points[i], candidates_);
    }
  }

  const CloudRows& cloud_;
  std::span<const std::uint32_t> queries_;
  std::vector<std::uint32_t> points_;
  std::size_t block_rows_;
  std::vector<float> center_;
  std::vector<float> norms_;       // of the queries; entries of block b guarded by locks_[b]
  Candidates candidates_;          // rows of block b guarded by locks_[b]
  std::vector<std::mutex> locks_;  // one for each block of queries
  WorkspacePool workspaces_;
};

}  // namespace

NeighborLists ExactEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                  std::size_t neighbors, ThreadPool& pool) const {
  static const bool one_blas_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_blas_thread);
  const std::size_t spare = std::max<std::size_t>(8, neighbors / 16);
  BlockedSearch search(cloud, queries, std::min(cloud.points() - 1, neighbors + spare), pool);
  if (queries.size() == cloud.points()) {
    search.RunSymmetric(pool);
  } else {
    search.Run(pool);
  }
  NeighborLists lists(queries.size(), neighbors);
  constexpr std::size_t kChunk = 16;
  pool.ParallelFor((queries.size() + kChunk - 1) / kChunk, [&](std::size_t chunk) {
    const std::size_t end = std::min(queries.size(), (chunk + 1) * kChunk);
    for (std::size_t q = chunk * kChunk; q < end; ++q) {
      const std::span<const std::uint32_t> near = search.Finish(q);
      const float last = RankNeighbors(cloud, queries[q], near, lists.ids(q), lists.distances(q));
      if (search.Certifies(q, last)) continue;
      RankNeighbors(cloud, queries[q], search.points(), lists.ids(q), lists.distances(q));
    }
  });
  return lists;
}

}  // namespace dimwatch
