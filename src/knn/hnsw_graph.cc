#include "src/knn/hnsw_graph.h"

// The only source that may include it: hnswlib 0.6.2 defines functions that are not inline.
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace dimwatch {
namespace {

constexpr std::size_t kLinks = 16;          // M
constexpr std::size_t kBuildBreadth = 100;  // efConstruction

using Found = HnswGraph::Found;

using Floats4 = float __attribute__((vector_size(16)));
using Floats8 = float __attribute__((vector_size(32)));
using Floats16 = float __attribute__((vector_size(64)));

// Always inlined, so that it is compiled for the caller's target, which has such lanes.
template <typename Floats>
inline __attribute__((always_inline)) float Sum(const float* a, const float* b, std::size_t dim) {
  constexpr std::size_t kLanes = sizeof(Floats) / sizeof(float), kSums = 4;
  Floats sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dim; i += kSums * kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      Floats left, right;
      std::memcpy(&left, a + i + s * kLanes, sizeof(left));
      std::memcpy(&right, b + i + s * kLanes, sizeof(right));
      sums[s] += (left - right) * (left - right);
    }
  }
  const Floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) sum += all[lane];
  for (; i < dim; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

float SumAnywhere(const float* a, const float* b, std::size_t dim) {
  return Sum<Floats4>(a, b, dim);
}
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float SumAvx2(const float* a, const float* b, std::size_t dim) {
  return Sum<Floats8>(a, b, dim);
}
__attribute__((target("avx512f"))) float SumAvx512(const float* a, const float* b,
                                                   std::size_t dim) {
  return Sum<Floats16>(a, b, dim);
}
#endif

struct Metric {
  SquaredDistanceFunction square;
  std::size_t dim;
};

// hnswlib's data of a node is a pointer to its row.
class RowSpace final : public hnswlib::SpaceInterface<float> {
 public:
  explicit RowSpace(std::size_t dim) : metric_{RoughSquaredDistance(), dim} {}

  std::size_t get_data_size() override { return sizeof(const float*); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &Distance; }
  void* get_dist_func_param() override { return &metric_; }

 private:
  static float Distance(const void* a, const void* b, const void* param) {
    const auto& metric = *static_cast<const Metric*>(param);
    const float* left;
    const float* right;
    std::memcpy(&left, a, sizeof(left));
    std::memcpy(&right, b, sizeof(right));
    return metric.square(left, right, metric.dim);
  }

  Metric metric_;
};

// Reads the beginning of a row ahead; the processor sees by itself where this leads.
void Prefetch(const float* row) {
  __builtin_prefetch(row);
  __builtin_prefetch(row + 16);
}

}  // namespace

SquaredDistanceFunction RoughSquaredDistance() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return &SumAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &SumAvx2;
#endif
  return &SumAnywhere;
}

class HnswGraph::Impl {
 public:
  Impl(std::size_t capacity, std::size_t dim, std::uint64_t seed)
      : metric{RoughSquaredDistance(), dim},
        space(dim),
        graph(&space, capacity, kLinks, kBuildBreadth, seed) {}

  const float* RowOf(std::uint32_t node) const {
    const float* row;
    std::memcpy(&row, graph.getDataByInternalId(node), sizeof(row));
    return row;
  }
  std::span<const std::uint32_t> LinksOf(std::uint32_t node, int level) const {
    const std::uint32_t* const links = graph.get_linklist_at_level(node, level);
    return {links + 1, static_cast<std::size_t>(*links & 0xffff)};
  }
  // The node nearest to `row` that goes by no farther one, on the levels above the lowest.
  std::uint32_t Descend(const float* row) const {
    std::uint32_t nearest = graph.enterpoint_node_;
    float least = metric.square(row, RowOf(nearest), metric.dim);
    for (int level = graph.maxlevel_; level > 0; --level) {
      for (bool nearer = true; nearer;) {
        nearer = false;
        for (const std::uint32_t node : LinksOf(nearest, level)) {
          const float square = metric.square(row, RowOf(node), metric.dim);
          if (square >= least) continue;
          least = square;
          nearest = node;
          nearer = true;
        }
      }
    }
    return nearest;
  }

  Metric metric;
  RowSpace space;
  hnswlib::HierarchicalNSW<float> graph;
};

HnswGraph::HnswGraph(std::size_t capacity, std::size_t dim, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(capacity, dim, seed)) {}
HnswGraph::~HnswGraph() = default;
HnswGraph::HnswGraph(HnswGraph&&) noexcept = default;
HnswGraph& HnswGraph::operator=(HnswGraph&&) noexcept = default;

void HnswGraph::Add(const float* row) { impl_->graph.addPoint(&row, size()); }

std::size_t HnswGraph::size() const { return impl_->graph.cur_element_count; }

std::span<const Found> HnswGraph::Search(const float* row, std::size_t breadth,
                                         Workspace& workspace) const {
  return Walk(row, impl_->Descend(row), breadth, workspace);
}

std::span<const Found> HnswGraph::SearchFrom(std::uint32_t node, std::size_t breadth,
                                             Workspace& workspace) const {
  return Walk(impl_->RowOf(node), node, breadth, workspace);
}

std::vector<std::uint32_t> HnswGraph::NearbyOrder() const {
  std::vector<std::uint32_t> order;
  order.reserve(size());
  std::vector<bool> seen(size());
  std::vector<std::uint32_t> ahead;
  for (std::uint32_t start = 0; start < size(); ++start) {
    ahead.push_back(start);
    while (!ahead.empty()) {
      const std::uint32_t node = ahead.back();
      ahead.pop_back();
      if (seen[node]) continue;
      seen[node] = true;
      order.push_back(node);
      for (const std::uint32_t next : impl_->LinksOf(node, 0)) {
        if (!seen[next]) ahead.push_back(next);
      }
    }
  }
  return order;
}

std::span<const Found> HnswGraph::Walk(const float* row, std::uint32_t start, std::size_t breadth,
                                       Workspace& workspace) const {
  std::vector<std::uint8_t>& visits = workspace.visits_;
  if (visits.size() < size()) visits.resize(size());
  if (++workspace.search_ == 0) {
    std::ranges::fill(visits, std::uint8_t{0});
    workspace.search_ = 1;
  }
  const std::uint8_t search = workspace.search_;
  std::vector<Found>& nearest = workspace.nearest_;
  std::vector<std::uint8_t>& continued = workspace.continued_;
  nearest.assign(1, {impl_->metric.square(row, impl_->RowOf(start), impl_->metric.dim), start});
  continued.assign(1, 0);
  visits[start] = search;
  std::array<const float*, 2 * kLinks> rows;
  std::array<std::uint32_t, 2 * kLinks> nodes;
  for (std::size_t at = 0; at < nearest.size();) {
    if (continued[at] != 0) {
      ++at;
      continue;
    }
    continued[at] = 1;
    std::size_t fresh = 0;
    for (const std::uint32_t node : impl_->LinksOf(nearest[at].node, 0)) {
      if (visits[node] == search) continue;
      visits[node] = search;
      nodes[fresh] = node;
      rows[fresh] = impl_->RowOf(node);
      Prefetch(rows[fresh++]);
    }
    for (std::size_t i = 0; i < fresh; ++i) {
      const float square = impl_->metric.square(row, rows[i], impl_->metric.dim);
      if (nearest.size() == breadth) {
        if (square >= nearest.back().square) continue;
        nearest.pop_back();
        continued.pop_back();
      }
      const auto place = std::ranges::upper_bound(nearest, square, {}, &Found::square);
      const auto index = place - nearest.begin();
      nearest.insert(place, {square, nodes[i]});
      continued.insert(continued.begin() + index, 0);
      at = std::min(at, static_cast<std::size_t>(index));
    }
  }
  return nearest;
}

}  // namespace dimwatch
