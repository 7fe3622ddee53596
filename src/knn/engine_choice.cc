#include "src/knn/engine_choice.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "src/base/point_cloud.h"
#include "src/knn/exact.h"
#include "src/knn/hnsw.h"

namespace dimwatch {
namespace {

constexpr int kRounds = 2;  // the fastest counts: what else runs only slows down
constexpr double kNanosecond = 1e-9;
constexpr double kBlockRows = 512;  // of ExactEngine; a block meets itself in whole pairs

// Rows that HnswEngine looks at to add a point, and to search one, among so many points.
double RowsToAdd(double points) {
  return 1162 * std::max(0.3, 1 + 0.25 * std::log(points / kMostParts / 8000));
}
double RowsToSearch(double points, std::size_t neighbors) {
  const double share = static_cast<double>(neighbors) / kMostParts;
  const auto held = static_cast<std::size_t>(share + 2 * std::sqrt(share) + 1);
  const auto kept = static_cast<double>(kMostParts * SearchBreadth(held, 1));
  return 2600 * std::pow(kept / 266, 0.7) *
         std::max(0.3, 1 + 0.24 * std::log(points / kMostParts / 8000));
}

std::vector<float> RandomValues(std::size_t count) {
  std::minstd_rand random(1);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 4096) / 4096;
  return values;
}

template <typename Work>
double Nanoseconds(const Clock& clock, const Work& work) {
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    const absl::Duration start = clock.Monotonic();
    work();
    least = std::min(least, absl::ToDoubleNanoseconds(clock.Monotonic() - start));
  }
  return least;
}

double SearchNanoseconds(const NeighborEngine& engine, std::size_t points, std::size_t dim,
                         std::size_t neighbors, const Clock& clock) {
  const std::vector<float> values = RandomValues(points * dim);
  const CloudRows cloud(PointCloudView(values, points, dim));
  std::vector<std::uint32_t> all(points);
  std::iota(all.begin(), all.end(), 0u);
  ThreadPool here(0);
  return Nanoseconds(clock, [&] { engine.Search(cloud, all, neighbors, 4, here); });
}

struct Line {
  double at_zero = 0, slope = 0;
};

// What a pair of points costs: the slope from two widths of rows; the rest from two sizes, as what
// each point costs once is not of interest.
Line ExactPairNanoseconds(const Clock& clock) {
  constexpr double kFew = 2304, kMany = 2 * kFew;
  constexpr std::size_t kNarrow = 32, kWide = 512;
  const auto search = [&](double points, std::size_t dim) {
    return SearchNanoseconds(ExactEngine(), static_cast<std::size_t>(points), dim, 64, clock);
  };
  const double narrow = search(kFew, kNarrow);
  const double slope = std::max(0.0, search(kFew, kWide) - narrow) /
                       (kFew * (kFew + kBlockRows) / 2 * (kWide - kNarrow));
  const double pair = std::max(0.0, search(kMany, kNarrow) - 2 * narrow) / (kFew * kFew);
  return {std::max(0.0, pair - kNarrow * slope), slope};
}

// A look at a row that is in no cache, ahead of which others are read, as a walk does. Every round
// looks at other rows: those of the last one are in a cache.
double ColdRowNanoseconds(const std::vector<float>& values, std::size_t dim, const Clock& clock) {
  constexpr std::size_t kLooks = 8192, kAhead = 8;
  const SquaredDistanceFunction square = RoughSquaredDistance();
  const std::size_t rows = values.size() / dim;
  std::minstd_rand random(1);
  std::vector<const float*> order(kLooks + kAhead);
  float sum = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    for (const float*& row : order) row = &values[random() % rows * dim];
    const absl::Duration start = clock.Monotonic();
    for (std::size_t i = 0; i < kLooks; ++i) {
      __builtin_prefetch(order[i + kAhead]);
      __builtin_prefetch(order[i + kAhead] + 16);
      sum += square(order[0], order[i], dim);
    }
    least = std::min(least, absl::ToDoubleNanoseconds(clock.Monotonic() - start));
  }
  return sum < 0 ? 0 : least / kLooks;
}

}  // namespace

EngineCosts MeasureEngineCosts(const Clock& clock) {
  const Line exact = ExactPairNanoseconds(clock);
  constexpr std::size_t kNarrow = 32, kWide = 2048;                       // several pages of memory
  const std::vector<float> values = RandomValues(std::size_t{24} << 20);  // more than a cache holds
  const double narrow = ColdRowNanoseconds(values, kNarrow, clock);
  const double slope =
      std::max(0.0, ColdRowNanoseconds(values, kWide, clock) - narrow) / (kWide - kNarrow);
  // A graph in the cache, of rows so short that all is the walk.
  constexpr std::size_t kPoints = 800, kShort = 8;
  const double walk = SearchNanoseconds(HnswEngine(1), kPoints, kShort, 64, clock) / kPoints /
                      (RowsToAdd(kPoints) + RowsToSearch(kPoints, 64));
  return {.exact_pair = exact.at_zero,
          .exact_component = exact.slope,
          .graph_row = walk + std::max(0.0, narrow - kNarrow * slope),
          .graph_component = slope};
}

double ExactSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                    std::size_t dim) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  return n * std::min((n + kBlockRows) / 2, q) *
         (costs.exact_pair + costs.exact_component * static_cast<double>(dim)) * kNanosecond;
}

double HnswSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                   std::size_t dim, std::size_t neighbors) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  const double rows = n * RowsToAdd(n) + q * RowsToSearch(n, neighbors);
  return rows * (costs.graph_row + costs.graph_component * static_cast<double>(dim)) * kNanosecond;
}

bool IsCloseCall(const EngineCosts& costs, std::size_t points, std::size_t queries, std::size_t dim,
                 std::size_t neighbors) {
  const double exact = ExactSeconds(costs, points, queries, dim);
  const double hnsw = HnswSeconds(costs, points, queries, dim, neighbors);
  return exact < 3 * hnsw && hnsw < 3 * exact;
}

}  // namespace dimwatch
