#include "src/knn/parts_search.h"

#include <cmath>
#include <utility>

#include "src/knn/exact.h"

namespace dimwatch {
namespace {

constexpr std::size_t kChunkQueries = 256;

using Home = PartsSearch::Home;

// Two standard deviations above the mean of what a random part of `nodes` out of `all` holds.
std::size_t ShareOf(std::size_t wanted, std::size_t nodes, std::size_t all) {
  if (nodes == all) return wanted;
  const double share =
      static_cast<double>(wanted) * static_cast<double>(nodes) / static_cast<double>(all);
  return std::min(wanted, static_cast<std::size_t>(share + 2 * std::sqrt(share) + 1));
}

std::uint32_t IdOf(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

// By point; none for a point in no graph.
std::vector<std::optional<Home>> HomesOf(std::span<const GraphPart> parts, std::size_t points) {
  std::vector<std::optional<Home>> homes(points);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    for (std::uint32_t node = 0; node < parts[p].points.size(); ++node) {
      const std::uint32_t point = parts[p].points[node];
      if (point != GraphPart::kNoPoint) homes[point] = Home{p, node};
    }
  }
  return homes;
}

// Places in `queries`, in an order that visits near ones together.
std::vector<std::size_t> NearbyOrder(std::span<const GraphPart> parts,
                                     std::span<const std::uint32_t> queries, std::size_t points) {
  std::vector<std::size_t> place(points, queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) place[queries[q]] = q;
  std::vector<std::size_t> order;
  order.reserve(queries.size());
  const auto take = [&](std::uint32_t point) {
    if (place[point] == queries.size()) return;
    order.push_back(std::exchange(place[point], queries.size()));
  };
  for (const GraphPart& part : parts) {
    for (const std::uint32_t node : part.graph->NearbyOrder()) {
      if (part.points[node] != GraphPart::kNoPoint) take(part.points[node]);
    }
  }
  for (const std::uint32_t point : queries) take(point);
  return order;
}

// Searches these exactly instead.
void ReplaceLists(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                  std::span<const std::size_t> places, ThreadPool& pool, NeighborLists& lists) {
  if (places.empty()) return;
  std::vector<std::uint32_t> points;
  for (const std::size_t place : places) points.push_back(queries[place]);
  const std::size_t neighbors = lists.neighbors();
  const NeighborLists exact = ExactEngine().Search(cloud, points, neighbors, neighbors, pool);
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::ranges::copy(exact.ids(i), lists.ids(places[i]).begin());
    std::ranges::copy(exact.distances(i), lists.distances(places[i]).begin());
  }
}

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

NeighborLists SearchParts(const CloudRows& cloud, std::span<const GraphPart> parts,
                          std::span<const std::uint32_t> queries, std::size_t neighbors,
                          std::size_t effort, const FindElsewhere& elsewhere, ThreadPool& pool) {
  const std::vector<std::optional<Home>> homes = HomesOf(parts, cloud.points());
  const std::vector<std::size_t> order = NearbyOrder(parts, queries, cloud.points());
  NeighborLists lists(queries.size(), neighbors, neighbors);
  std::vector<std::uint8_t> unreached(queries.size());
  pool.ParallelFor((order.size() + kChunkQueries - 1) / kChunkQueries, [&](std::size_t chunk) {
    const std::span<const std::size_t> places = std::span(order).subspan(
        chunk * kChunkQueries, std::min(kChunkQueries, order.size() - chunk * kChunkQueries));
    std::vector<std::uint32_t> points;
    for (const std::size_t place : places) points.push_back(queries[place]);
    std::vector<RankingKeys> keys(points.size());
    if (elsewhere) elsewhere(points, keys);
    PartsSearch search(parts, neighbors, effort);
    for (std::size_t i = 0; i < points.size(); ++i) {
      search.Find(cloud.row(points[i]), points[i], homes[points[i]], keys[i]);
      std::vector<std::uint32_t> near(keys[i].size());
      std::ranges::transform(keys[i], near.begin(), IdOf);
      keys[i] = Measure(cloud, points[i], near);
      unreached[places[i]] = keys[i].size() < neighbors;
      if (unreached[places[i]] == 0) FillList(keys[i], places[i], lists);
    }
  });
  std::vector<std::size_t> again;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (unreached[q] != 0) again.push_back(q);
  }
  // `queries` ascend, and so do these.
  ReplaceLists(cloud, queries, again, pool, lists);
  return lists;
}

}  // namespace dimwatch
