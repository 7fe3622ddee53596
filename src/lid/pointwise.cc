#include "src/lid/pointwise.h"

#include <algorithm>
#include <bit>

#include "src/lid/radial.h"
#include "src/lid/twonn.h"

namespace dimwatch {
namespace {

constexpr std::size_t kChunkQueries = 64;

// Buffers of one chunk of queries.
struct Scratch {
  Scratch(std::size_t points, std::size_t neighbors)
      : members(points), log_mu(neighbors), sorted(neighbors), order(neighbors) {}
  std::vector<std::uint8_t> members;
  std::vector<double> log_mu;
  std::vector<double> sorted;
  std::vector<std::uint64_t> order;
};

std::optional<double> LocalTwoNn(const EstimatorSettings& settings, Scratch& scratch,
                                 std::span<float> influence) {
  // Integers sort faster than pairs: the bits of a non-negative number, the last of them given to
  // its index, which is below kMaxNeighbors.
  constexpr std::uint64_t kIndexBits = kMaxNeighbors - 1;
  static_assert((kMaxNeighbors & kIndexBits) == 0);
  for (std::size_t j = 0; j < scratch.order.size(); ++j) {
    scratch.order[j] = (std::bit_cast<std::uint64_t>(scratch.log_mu[j]) & ~kIndexBits) | j;
  }
  std::sort(scratch.order.begin(), scratch.order.end());
  for (std::size_t k = 0; k < scratch.order.size(); ++k) {
    scratch.order[k] &= kIndexBits;
    scratch.sorted[k] = scratch.log_mu[scratch.order[k]];
  }
  const std::optional<double> lid = FitTwoNn(scratch.sorted, settings.cdf, settings.fit);
  if (!lid) return lid;
  TwoNnInfluence(scratch.sorted, *lid, settings.cdf, settings.fit, scratch.log_mu);
  for (std::size_t k = 0; k < scratch.order.size(); ++k) {
    influence[scratch.order[k]] = static_cast<float>(scratch.log_mu[k]);
  }
  return lid;
}

}  // namespace

PointwiseDimensions EstimatePointwise(const CloudRows& cloud, const NeighborLists& lists,
                                      std::span<const std::uint32_t> queries,
                                      const EstimatorSettings& settings, ThreadPool& pool) {
  const std::size_t neighbors = lists.neighbors();
  PointwiseDimensions result{std::vector<std::optional<double>>(queries.size()),
                             std::vector<float>(queries.size() * neighbors)};
  const bool have_all_lists = queries.size() == cloud.points();
  pool.ParallelFor((queries.size() + kChunkQueries - 1) / kChunkQueries, [&](std::size_t chunk) {
    Scratch scratch(cloud.points(), neighbors);
    const std::size_t end = std::min(queries.size(), (chunk + 1) * kChunkQueries);
    for (std::size_t q = chunk * kChunkQueries; q < end; ++q) {
      const std::span<float> influence =
          std::span(result.influence).subspan(q * neighbors, neighbors);
      if (settings.estimator == Estimator::kMle) {
        result.lid[q] = MleLid(lists.distances(q), influence);
      } else if (settings.estimator == Estimator::kMom) {
        result.lid[q] = MomLid(lists.distances(q), influence);
      } else {
        if (have_all_lists) {
          LogRatiosInNeighborhood(cloud, lists, q, scratch.members, scratch.log_mu);
        } else {
          LogRatiosInPatch(cloud, lists.ids(q), scratch.log_mu);
        }
        result.lid[q] = LocalTwoNn(settings, scratch, influence);
      }
    }
  });
  return result;
}

}  // namespace dimwatch
