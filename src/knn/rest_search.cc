#include "src/knn/rest_search.h"

#include <cblas.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "src/knn/centroid.h"
#include "src/knn/hnsw_graph.h"

namespace dimwatch {
namespace {

constexpr std::size_t kBlock = 256;

// Centered copies of some points, and their squared norms.
struct Block {
  void Load(const CloudRows& cloud, std::span<const float> center,
            std::span<const std::uint32_t> points) {
    const std::size_t dim = cloud.dim();
    data.resize(points.size() * dim);
    norms.resize(points.size());
    for (std::size_t r = 0; r < points.size(); ++r) {
      const float* const from = cloud.row(points[r]);
      float* const to = &data[r * dim];
      for (std::size_t i = 0; i < dim; ++i) to[i] = from[i] - center[i];
      norms[r] = cblas_sdot(static_cast<int>(dim), to, 1, to, 1);
    }
  }
  std::vector<float> data;  // points x dim
  std::vector<float> norms;
};

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
    : cloud_(cloud), rest_(std::move(rest)), center_(Centroid(cloud, pool)) {
  static const bool one_blas_thread = (openblas_set_num_threads(1), true);
  static_cast<void>(one_blas_thread);
}

void RestSearch::Find(std::span<const std::uint32_t> points, std::size_t neighbors,
                      std::span<RankingKeys> keys) const {
  // A few more than asked for: the expansion rounds.
  std::vector<Nearest> nearest(points.size(), Nearest(neighbors + neighbors / 8 + 8));
  Block left, right;
  left.Load(cloud_, center_, points);
  std::vector<float> tile(points.size() * kBlock);
  const auto dim = static_cast<int>(cloud_.dim());
  for (std::size_t begin = 0; begin < rest_.size(); begin += kBlock) {
    const std::span ids = std::span(rest_).subspan(begin, std::min(kBlock, rest_.size() - begin));
    right.Load(cloud_, center_, ids);
    const auto columns = static_cast<int>(ids.size());
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(points.size()), columns,
                dim, -2.0f, left.data.data(), dim, right.data.data(), dim, 0.0f, tile.data(),
                columns);
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
