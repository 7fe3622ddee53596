#include "src/knn/rest_search.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "src/knn/centroid.h"
#include "src/knn/hnsw_graph.h"
#include "src/knn/products.h"

namespace dimwatch {
namespace {

constexpr std::size_t kBlock = 256;

// The nearest seen so far, by squares of the expansion.
class Nearest {
 public:
  explicit Nearest(std::size_t keep) : keep_(keep) {}
  void Offer(float square, std::uint32_t id) {
    if (!(square < bound_)) return;
    seen_.emplace_back(square, id);
    if (seen_.size() == 2 * keep_) Cut();
  }
  std::span<const std::pair<float, std::uint32_t>> Finish() {
    if (seen_.size() > keep_) Cut();
    return seen_;
  }

 private:
  void Cut() {
    std::nth_element(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(keep_) - 1,
                     seen_.end());
    seen_.resize(keep_);
    bound_ = seen_.back().first;
  }

  std::size_t keep_;
  float bound_ = std::numeric_limits<float>::infinity();
  std::vector<std::pair<float, std::uint32_t>> seen_;
};

}  // namespace

RestSearch::RestSearch(const CloudRows& cloud, std::vector<std::uint32_t> rest, ThreadPool& pool)
    : cloud_(cloud), rest_(std::move(rest)), center_(Centroid(cloud, pool)) {}

void RestSearch::Find(std::span<const std::uint32_t> points, std::size_t neighbors,
                      std::span<RankingKeys> keys) const {
  // A few more than asked for: the expansion rounds.
  std::vector<Nearest> nearest(points.size(), Nearest(neighbors + neighbors / 8 + 8));
  CenteredRows left, right;
  left.Load(cloud_, center_, points);
  std::vector<float> tile(points.size() * kBlock);
  for (std::size_t begin = 0; begin < rest_.size(); begin += kBlock) {
    const std::span ids = std::span(rest_).subspan(begin, std::min(kBlock, rest_.size() - begin));
    right.Load(cloud_, center_, ids);
    MultiplyRows(left.data.data(), points.size(), right.data.data(), ids.size(), cloud_.dim(),
                 -2.0f, tile.data());
    for (std::size_t i = 0; i < points.size(); ++i) {
      const float* const row = &tile[i * ids.size()];
      for (std::size_t j = 0; j < ids.size(); ++j) {
        if (ids[j] != points[i]) nearest[i].Offer(left.norms[i] + right.norms[j] + row[j], ids[j]);
      }
    }
  }
  const SquaredDistanceFunction square = RoughSquaredDistance();
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (const auto& [rough, id] : nearest[i].Finish()) {
      keys[i].push_back(
          RankingKey(square(cloud_.row(points[i]), cloud_.row(id), cloud_.dim()), id));
    }
  }
}

}  // namespace dimwatch
