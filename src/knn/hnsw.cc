#include "src/knn/hnsw.h"

// The only source that may include it: hnswlib 0.6.2 defines functions that are not inline.
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "src/knn/distance.h"
#include "src/knn/ranking.h"

namespace dimwatch {
namespace {

constexpr std::size_t kLinks = 16;          // M
constexpr std::size_t kBuildBreadth = 200;  // efConstruction
constexpr std::size_t kLeastBreadth = 200;  // ef of a query, or twice the neighbors

// The graph holds points, not copies of their rows.
class CloudSpace final : public hnswlib::SpaceInterface<float> {
 public:
  explicit CloudSpace(const CloudRows& cloud) : cloud_(&cloud) {}

  std::size_t get_data_size() override { return sizeof(std::uint32_t); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &Distance; }
  void* get_dist_func_param() override { return &cloud_; }

 private:
  static const float* RowOf(const CloudRows& cloud, const void* data) {
    std::uint32_t point;
    std::memcpy(&point, data, sizeof(point));
    return cloud.row(point);
  }
  static float Distance(const void* a, const void* b, const void* param) {
    const CloudRows& cloud = **static_cast<const CloudRows* const*>(param);
    return SquaredDistance(RowOf(cloud, a), RowOf(cloud, b), cloud.dim());
  }

  const CloudRows* cloud_;
};

using Graph = hnswlib::HierarchicalNSW<float>;

// The points that the graph finds near `point`, which may be among them.
std::vector<std::uint32_t> Reach(const Graph& graph, std::uint32_t point, std::size_t count) {
  auto found = graph.searchKnn(&point, count);
  std::vector<std::uint32_t> ids;
  ids.reserve(found.size());
  for (; !found.empty(); found.pop()) ids.push_back(static_cast<std::uint32_t>(found.top().second));
  return ids;
}

}  // namespace

NeighborLists HnswEngine::Search(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                                 std::size_t neighbors, std::size_t ranked,
                                 ThreadPool& pool) const {
  std::vector<std::uint32_t> all(cloud.points());
  std::iota(all.begin(), all.end(), 0u);
  CloudSpace space(cloud);
  Graph graph(&space, cloud.points(), kLinks, kBuildBreadth, seed_);
  for (const std::uint32_t point : all) graph.addPoint(&point, point);
  graph.setEf(std::max(kLeastBreadth, 2 * neighbors));
  NeighborLists lists(queries.size(), neighbors, ranked);
  pool.ParallelFor(queries.size(), [&](std::size_t q) {
    const std::vector<std::uint32_t> near = Reach(graph, queries[q], neighbors + 1);
    const auto others =
        near.size() - static_cast<std::size_t>(std::ranges::count(near, queries[q]));
    // A graph that falls apart reaches too few.
    RankingKeys keys = Measure(cloud, queries[q], others < neighbors ? all : near);
    FillList(keys, q, lists);
  });
  return lists;
}

}  // namespace dimwatch
