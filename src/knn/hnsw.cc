#include "src/knn/hnsw.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dimwatch {
namespace {

constexpr std::size_t kMostParts = 2;
constexpr std::size_t kLeastPartPoints = 4096;
constexpr std::size_t kChunkQueries = 256;

// Two standard deviations above the mean of what a random part of `nodes` out of `all` holds.
std::size_t ShareOf(std::size_t wanted, std::size_t nodes, std::size_t all) {
  if (nodes == all) return wanted;
  const double share =
      static_cast<double>(wanted) * static_cast<double>(nodes) / static_cast<double>(all);
  return std::min(wanted, static_cast<std::size_t>(share + 2 * std::sqrt(share) + 1));
}

std::uint32_t IdOf(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

}  // namespace

PartsSearch::PartsSearch(std::span<const GraphPart> parts, std::size_t neighbors,
                         std::size_t effort)
    : parts_(parts), wanted_(neighbors), effort_(effort) {
  for (const GraphPart& part : parts_) nodes_ += part.graph->size();
}

void PartsSearch::Find(const float* row, std::uint32_t point, std::optional<Home> home,
                       RankingKeys& keys) {
  const RankingKeys elsewhere = std::move(keys);
  std::vector<RankingKeys> found(parts_.size());
  std::vector<std::size_t> breadth(parts_.size());
  std::vector<std::size_t> wanted(parts_.size());
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    wanted[p] = ShareOf(wanted_, parts_[p].graph->size(), nodes_);
  }
  for (bool more = true; more;) {
    keys = elsewhere;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      const std::size_t needed =
          std::min(SearchBreadth(wanted[p], effort_), parts_[p].graph->size());
      if (breadth[p] < needed) {
        breadth[p] = needed;
        SearchPart(p, needed, row, point, home, found[p]);
      }
      keys.insert(keys.end(), found[p].begin(), found[p].end());
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    if (keys.size() > wanted_) keys.resize(wanted_);
    more = false;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      const auto held = static_cast<std::size_t>(
          std::ranges::count_if(found[p], [&](std::uint64_t key) { return key <= keys.back(); }));
      if (held <= wanted[p]) continue;
      wanted[p] = held;
      more = true;
    }
  }
}

void PartsSearch::SearchPart(std::size_t part, std::size_t breadth, const float* row,
                             std::uint32_t point, std::optional<Home> home, RankingKeys& found) {
  const GraphPart& in = parts_[part];
  const std::span<const HnswGraph::Found> near =
      home && home->part == part ? in.graph->SearchFrom(home->node, breadth, workspace_)
                                 : in.graph->Search(row, breadth, workspace_);
  found.clear();
  for (const auto [square, node] : near) {
    const std::uint32_t id = in.points[node];
    if (id != point && id != GraphPart::kNoPoint) found.push_back(RankingKey(square, id));
  }
}

NeighborLists HnswEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                 std::size_t neighbors, std::size_t /*ranked*/,
                                 ThreadPool& pool) const {
  std::vector<std::uint32_t> all(cloud.points());
  std::iota(all.begin(), all.end(), 0u);
  const std::size_t count =
      std::clamp<std::size_t>(cloud.points() / kLeastPartPoints, 1, kMostParts);
  const std::size_t most = (cloud.points() + count - 1) / count;  // points of a part
  std::vector<std::optional<HnswGraph>> graphs(count);
  std::vector<GraphPart> parts(count);
  pool.ParallelFor(count, [&](std::size_t p) {
    parts[p].points = std::span(all).subspan(p * most, std::min(most, all.size() - p * most));
    graphs[p].emplace(most, cloud.dim(), seed_);
    for (const std::uint32_t point : parts[p].points) graphs[p]->Add(cloud.row(point));
    parts[p].graph = &*graphs[p];
  });
  std::vector<std::size_t> place(cloud.points(), queries.size());  // of a point among the queries
  for (std::size_t q = 0; q < queries.size(); ++q) place[queries[q]] = q;
  std::vector<std::uint32_t> order;
  order.reserve(queries.size());
  for (const GraphPart& part : parts) {
    for (const std::uint32_t node : part.graph->NearbyOrder()) {
      if (place[part.points[node]] < queries.size()) order.push_back(part.points[node]);
    }
  }
  NeighborLists lists(queries.size(), neighbors, neighbors);
  pool.ParallelFor((queries.size() + kChunkQueries - 1) / kChunkQueries, [&](std::size_t chunk) {
    PartsSearch search(parts, neighbors, effort_);
    RankingKeys keys;
    std::vector<std::uint32_t> near;
    const std::size_t end = std::min(order.size(), (chunk + 1) * kChunkQueries);
    for (std::size_t i = chunk * kChunkQueries; i < end; ++i) {
      const std::uint32_t point = order[i];
      const PartsSearch::Home home{point / most, static_cast<std::uint32_t>(point % most)};
      keys.clear();
      search.Find(cloud.row(point), point, home, keys);
      // A graph that falls apart reaches too few.
      near.resize(std::min(keys.size(), neighbors));
      std::ranges::transform(std::span(keys).first(near.size()), near.begin(), IdOf);
      keys = Measure(cloud, point, near.size() < neighbors ? all : near);
      FillList(keys, place[point], lists);
    }
  });
  return lists;
}

}  // namespace dimwatch
