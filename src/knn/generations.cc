#include "src/knn/generations.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "src/knn/exact.h"
#include "src/knn/parts_search.h"
#include "src/knn/rest_search.h"

namespace dimwatch {
namespace {

constexpr std::uint32_t kNone = GraphPart::kNoPoint;

using Batch = Generations::Batch;

// The batches of an extent.
std::span<const Batch> BatchesOf(std::span<const Batch> held, const Generations::Extent& extent) {
  const auto first = std::ranges::lower_bound(held, extent.first, {}, &Batch::seq);
  const auto last = std::ranges::upper_bound(held, extent.last, {}, &Batch::seq);
  return {first, last};
}

std::size_t RowsOf(std::span<const Batch> batches, std::size_t dim) {
  std::size_t values = 0;
  for (const Batch& batch : batches) values += batch.rows.size();
  return values / dim;
}

// hnswlib's: for each node links, label, pointer, a lock and an entry in a map, and locks for all.
std::int64_t GraphBytes(std::size_t nodes) {
  constexpr std::size_t kNode = 256, kLocks = std::size_t{65'536} * 40;
  return static_cast<std::int64_t>(nodes * kNode + kLocks);
}

// Finds the blocks of segments that are generations, from all of them to ever smaller ones.
class Layout {
 public:
  Layout(std::span<const Batch> held, std::size_t dim, std::size_t most_rows)
      : dim_(dim),
        most_rows_(most_rows),
        oldest_(held.front().segment),
        newest_(held.back().segment) {
    constexpr int kAllSegments = 62;
    Descend(held, 0, kAllSegments);
  }
  std::vector<Generations::Extent> extents() && { return std::move(extents_); }

 private:
  bool IsLarge(std::span<const Batch> batches) const {
    return 2 * RowsOf(batches, dim_) > most_rows_;
  }
  // `batches`: those of the 2^level segments from `begin` on.
  void Descend(std::span<const Batch> batches, std::int64_t begin, int level) {
    if (!IsLarge(batches)) return;
    if (level > 0) {
      const std::int64_t middle = begin + (std::int64_t{1} << (level - 1));
      const auto half = std::ranges::lower_bound(batches, middle, {}, &Batch::segment);
      const std::span<const Batch> older(batches.begin(), half), newer(half, batches.end());
      if (IsLarge(older) || IsLarge(newer)) {
        Descend(older, begin, level - 1);
        Descend(newer, middle, level - 1);
        return;
      }
    }
    const std::int64_t end = begin + (std::int64_t{1} << level);
    if (begin <= oldest_ || end > newest_) return;
    extents_.push_back({.first = batches.front().seq, .last = batches.back().seq});
  }

  const std::size_t dim_;
  const std::size_t most_rows_;
  const std::int64_t oldest_;
  const std::int64_t newest_;
  std::vector<Generations::Extent> extents_;
};

bool IsFinite(std::span<const float> row) {
  return std::ranges::all_of(row, [](float value) { return std::isfinite(value); });
}

// Rows that are equal, byte for byte, are added once: many equal nodes would link to themselves
// alone.
std::string_view BytesOf(std::span<const float> row) {
  return {reinterpret_cast<const char*>(row.data()), row.size_bytes()};
}

}  // namespace

class Generations::Index final : public ApproximateIndex {
 public:
  Index(const CloudRows& cloud, std::span<const Generation> generations) : cloud_(cloud) {
    for (const Generation& generation : generations) {
      points_.emplace_back(generation.graph->size(), kNone);
    }
    for (std::uint32_t point = 0; point < cloud.points(); ++point) {
      if (!Place(generations, point)) rest_.push_back(point);
    }
    for (std::size_t g = 0; g < generations.size(); ++g) {
      if (points_[g].empty()) continue;  // no row was finite
      parts_.push_back({.graph = generations[g].graph.get(), .points = points_[g]});
    }
  }

  NeighborLists Search(std::span<const std::uint32_t> queries, std::size_t neighbors,
                       std::size_t effort, ThreadPool& pool) const override {
    if (parts_.empty()) return ExactEngine().Search(cloud_, queries, neighbors, neighbors, pool);
    const RestSearch rest(cloud_, rest_, pool);
    const auto elsewhere = [&](std::span<const std::uint32_t> points, std::span<RankingKeys> keys) {
      rest.Find(points, neighbors, keys);
    };
    return SearchParts(cloud_, parts_, queries, neighbors, effort, elsewhere, pool);
  }

 private:
  // False for a point that is in no generation.
  bool Place(std::span<const Generation> generations, std::uint32_t point) {
    const std::size_t row = cloud_.source(point);
    for (std::size_t g = 0; g < generations.size(); ++g) {
      const std::size_t first = generations[g].first_row;
      if (row < first || row - first >= generations[g].nodes.size()) continue;
      points_[g][generations[g].nodes[row - first]] = point;
      return true;
    }
    return false;
  }

  const CloudRows& cloud_;
  std::vector<std::vector<std::uint32_t>> points_;  // by generation and node
  std::vector<std::uint32_t> rest_;
  std::vector<GraphPart> parts_;
};

Generations::Generations(std::size_t dim, std::size_t most_rows, std::uint64_t seed)
    : dim_(dim), most_rows_(most_rows), seed_(seed) {}

std::vector<Generations::Extent> LayOutGenerations(std::span<const Batch> held, std::size_t dim,
                                                   std::size_t most_rows) {
  if (held.empty()) return {};
  return Layout(held, dim, most_rows).extents();
}

std::vector<Generations::Extent> Generations::layout() const {
  std::vector<Extent> layout;
  for (const Generation& generation : generations_) layout.push_back(generation.extent);
  return layout;
}

std::size_t Generations::rows() const {
  std::size_t rows = 0;
  for (const Generation& generation : generations_) rows += generation.nodes.size();
  return rows;
}

void Generations::Update(std::span<const Batch> held, ThreadPool& pool) {
  std::vector<Generation> before = std::exchange(generations_, {});
  for (const Extent& extent : LayOutGenerations(held, dim_, most_rows_)) {
    const auto known = std::ranges::find(before, extent, &Generation::extent);
    Generation& generation = generations_.emplace_back();
    if (known != before.end()) generation = std::move(*known);
    generation.extent = extent;
    generation.first_row = RowsOf({held.begin(), BatchesOf(held, extent).begin()}, dim_);
  }
  before.clear();  // before new graphs need the memory
  pool.ParallelFor(generations_.size(), [&](std::size_t g) {
    Generation& generation = generations_[g];
    if (generation.graph == nullptr) Build(BatchesOf(held, generation.extent), generation);
  });
}

void Generations::Build(std::span<const Batch> batches, Generation& generation) const {
  const std::size_t rows = RowsOf(batches, dim_);
  generation.graph = std::make_unique<HnswGraph>(rows, dim_, seed_);
  generation.nodes.reserve(rows);
  std::unordered_map<std::string_view, std::uint32_t> node_of;
  for (const Batch& batch : batches) {
    for (std::size_t at = 0; at < batch.rows.size(); at += dim_) {
      const std::span<const float> row = batch.rows.subspan(at, dim_);
      if (!IsFinite(row)) {
        generation.nodes.push_back(kNone);
        continue;
      }
      const auto node = static_cast<std::uint32_t>(generation.graph->size());
      const auto [known, fresh] = node_of.try_emplace(BytesOf(row), node);
      if (fresh) generation.graph->Add(row.data());
      generation.nodes.push_back(known->second);
    }
  }
}

std::unique_ptr<ApproximateIndex> Generations::IndexOf(const CloudRows& cloud) const {
  return std::make_unique<Index>(cloud, generations_);
}

std::int64_t Generations::bytes() const {
  std::int64_t bytes = 0;
  for (const Generation& generation : generations_) {
    bytes += static_cast<std::int64_t>(generation.nodes.capacity() * sizeof(std::uint32_t));
    if (generation.graph) bytes += GraphBytes(generation.graph->size());
  }
  return bytes;
}

std::int64_t GenerationsBytes(std::size_t rows) {
  constexpr int kGraphs = 4;  // most of the time
  return GraphBytes(rows) + (kGraphs - 1) * GraphBytes(0) +
         static_cast<std::int64_t>(rows * sizeof(std::uint32_t));
}

}  // namespace dimwatch
