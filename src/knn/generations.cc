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

const Batch* FindBatch(std::span<const Batch> held, std::int64_t seq) {
  const auto at = std::ranges::lower_bound(held, seq, {}, &Batch::seq);
  return at != held.end() && at->seq == seq ? &*at : nullptr;
}

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
  Index(const CloudRows& cloud, std::span<const Generation> generations, std::size_t rows_before)
      : cloud_(cloud) {
    for (const Generation& generation : generations) {
      points_.emplace_back(generation.graph->size(), kNone);
    }
    for (std::uint32_t point = 0; point < cloud.points(); ++point) {
      if (!Place(generations, rows_before, point)) rest_.push_back(point);
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
  bool Place(std::span<const Generation> generations, std::size_t rows_before,
             std::uint32_t point) {
    if (cloud_.source(point) < rows_before) return false;
    const std::size_t row = cloud_.source(point) - rows_before;
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

Generations::Generations(std::size_t dim, std::size_t generation_rows, std::uint64_t seed)
    : dim_(dim), generation_rows_(generation_rows), seed_(seed) {}

void Generations::Restore(std::span<const Extent> layout) {
  generations_.clear();
  for (const Extent& extent : layout) generations_.emplace_back().extent = extent;
}

std::vector<Generations::Extent> Generations::layout() const {
  std::vector<Extent> layout;
  for (const Generation& generation : generations_) layout.push_back(generation.extent);
  return layout;
}

void Generations::Update(std::span<const Batch> held, ThreadPool& pool) {
  std::erase_if(generations_, [&](const Generation& generation) {
    return FindBatch(held, generation.extent.first) == nullptr ||
           FindBatch(held, generation.extent.last) == nullptr;
  });
  Seal(held);
  pool.ParallelFor(generations_.size(), [&](std::size_t g) {
    if (generations_[g].graph == nullptr) Build(held, generations_[g]);
  });
  std::size_t rows = 0;
  auto generation = generations_.begin();
  for (const Batch& batch : held) {
    if (generation == generations_.end()) break;
    if (batch.seq == generation->extent.first) generation->first_row = rows;
    rows += batch.rows.size() / dim_;
    if (batch.seq == generation->extent.last) ++generation;
  }
}

void Generations::Seal(std::span<const Batch> held) {
  const Batch* first = held.data();
  if (!generations_.empty()) first = FindBatch(held, generations_.back().extent.last) + 1;
  std::size_t rows = 0;
  for (const Batch* batch = first; batch != held.data() + held.size(); ++batch) {
    rows += batch->rows.size() / dim_;
    if (rows < generation_rows_) continue;
    generations_.emplace_back().extent = {.first = first->seq, .last = batch->seq};
    first = batch + 1;
    rows = 0;
  }
}

void Generations::Build(std::span<const Batch> held, Generation& generation) const {
  const Batch* const begin = FindBatch(held, generation.extent.first);
  const Batch* const end = FindBatch(held, generation.extent.last) + 1;
  std::size_t rows = 0;
  for (const Batch* batch = begin; batch != end; ++batch) rows += batch->rows.size() / dim_;
  generation.graph = std::make_unique<HnswGraph>(std::max<std::size_t>(rows, 1), dim_, seed_);
  generation.nodes.reserve(rows);
  std::unordered_map<std::string_view, std::uint32_t> node_of;
  for (const Batch* batch = begin; batch != end; ++batch) {
    for (std::size_t at = 0; at < batch->rows.size(); at += dim_) {
      const std::span<const float> row = batch->rows.subspan(at, dim_);
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

std::unique_ptr<ApproximateIndex> Generations::IndexOf(const CloudRows& cloud,
                                                       std::size_t rows_before) const {
  return std::make_unique<Index>(cloud, generations_, rows_before);
}

std::int64_t Generations::bytes() const {
  constexpr std::size_t kBytesOfNode = 200;  // links of all levels, label, pointer, locks
  std::size_t bytes = 0;
  for (const Generation& generation : generations_) {
    bytes += generation.nodes.capacity() * sizeof(std::uint32_t);
    if (generation.graph) bytes += generation.graph->size() * kBytesOfNode;
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace dimwatch
