#include "src/knn/engine_choice.h"

#include <algorithm>
#include <array>
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

constexpr int kRounds = 2;       // the fastest counts: what else runs only slows down
constexpr int kShortRounds = 9;  // of what takes some milliseconds
constexpr double kNanosecond = 1e-9;
constexpr double kBlockRows = 512;  // of ExactEngine; a block meets itself in whole pairs

// Rows that a walk looks at to add a point to a graph of so many.
double RowsToAdd(double graph_points) {
  return 1162 * std::max(0.3, 1 + 0.25 * std::log(graph_points / 8000));
}
// To search that many graphs for the neighbors of one point, with what it takes to rank them.
double RowsToSearch(std::size_t graphs, double graph_points, std::size_t neighbors) {
  const double share = static_cast<double>(neighbors) / static_cast<double>(graphs);
  const auto held = static_cast<std::size_t>(share + 2 * std::sqrt(share) + 1);
  const auto kept = static_cast<double>(graphs * SearchBreadth(held, 1));
  return 3430 * std::pow(kept / 266, 0.7) * std::max(0.3, 1 + 0.24 * std::log(graph_points / 8000));
}

double PairNanoseconds(const EngineCosts& costs, std::size_t dim) {
  return costs.exact_pair + costs.exact_component * static_cast<double>(dim);
}
double RowNanoseconds(const EngineCosts& costs, std::size_t dim) {
  return costs.graph_row + costs.graph_component * static_cast<double>(dim);
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

double SearchNanoseconds(const NeighborEngine& engine, const std::vector<float>& values,
                         std::size_t points, std::size_t dim, std::size_t neighbors,
                         const Clock& clock) {
  const PointCloudView view({values.data(), points * dim}, points, dim);
  const CloudRows cloud(view);
  std::vector<std::uint32_t> all(points);
  std::iota(all.begin(), all.end(), 0u);
  ThreadPool here(0);
  return Nanoseconds(clock, [&] { engine.Search(cloud, all, neighbors, 4, here); });
}

struct Line {
  double at_zero = 0, slope = 0;
};

// What a pair of points costs: of narrow rows from two sizes, as what each point costs once is not
// of interest; the slope from two widths, far apart, as wide products are not the fastest.
Line ExactPairNanoseconds(const std::vector<float>& values, const Clock& clock) {
  constexpr double kFew = 2304, kMany = 4096;
  constexpr std::size_t kNarrow = 64, kWide = 2048, kFewNeighbors = 16;
  const auto search = [&](double points, std::size_t dim) {
    return SearchNanoseconds(ExactEngine(), values, static_cast<std::size_t>(points), dim,
                             kFewNeighbors, clock);
  };
  const double slope = std::max(0.0, search(kFew, kWide) - search(kFew, kNarrow)) /
                       (kFew * (kFew + kBlockRows) / 2 * (kWide - kNarrow));
  const double pair =
      std::max(0.0, search(2 * kMany, kNarrow) - 2 * search(kMany, kNarrow)) / (kMany * kMany);
  return {std::max(0.0, pair - kNarrow * slope), slope};
}

// A look at a row that is in no cache, ahead of which others are read, as a walk does. Every round
// looks at other rows: those of the last one are in a cache. The median of them, as the fastest has
// found more of its rows in a cache than there are in the walks of a large graph.
double ColdRowNanoseconds(const std::vector<float>& values, std::size_t dim, const Clock& clock) {
  constexpr std::size_t kLooks = 8192, kAhead = 8;
  const SquaredDistanceFunction square = RoughSquaredDistance();
  const std::size_t rows = values.size() / dim;
  std::minstd_rand random(1);
  std::vector<const float*> order(kLooks + kAhead);
  float sum = 0;
  std::array<double, kShortRounds> nanoseconds;
  for (double& of_round : nanoseconds) {
    for (const float*& row : order) row = &values[random() % rows * dim];
    const absl::Duration start = clock.Monotonic();
    for (std::size_t i = 0; i < kLooks; ++i) {
      __builtin_prefetch(order[i + kAhead]);
      __builtin_prefetch(order[i + kAhead] + 16);
      sum += square(order[0], order[i], dim);
    }
    of_round = absl::ToDoubleNanoseconds(clock.Monotonic() - start) / kLooks;
  }
  std::ranges::nth_element(nanoseconds, nanoseconds.begin() + kShortRounds / 2);
  return sum < 0 ? 0 : nanoseconds[kShortRounds / 2];
}

}  // namespace

EngineCosts MeasureEngineCosts(const Clock& clock) {
  // Of a size at which rows are as far away as in a graph that is to be searched.
  const std::vector<float> values = RandomValues(std::size_t{64} << 20);
  const Line exact = ExactPairNanoseconds(values, clock);
  constexpr std::size_t kNarrow = 32, kWide = 4096;  // several pages of memory
  const double narrow = ColdRowNanoseconds(values, kNarrow, clock);
  const double slope =
      std::max(0.0, ColdRowNanoseconds(values, kWide, clock) - narrow) / (kWide - kNarrow);
  // A graph in the cache, of rows so short that all is the walk.
  constexpr std::size_t kPoints = 800, kShort = 8;
  const double walk = SearchNanoseconds(HnswEngine(1), values, kPoints, kShort, 64, clock) /
                      kPoints / (RowsToAdd(kPoints) + RowsToSearch(1, kPoints, 64));
  return {.exact_pair = exact.at_zero,
          .exact_component = exact.slope,
          .graph_row = walk + std::max(0.0, narrow - kNarrow * slope),
          .graph_component = slope};
}

double ExactSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                    std::size_t dim) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  return n * std::min((n + kBlockRows) / 2, q) * PairNanoseconds(costs, dim) * kNanosecond;
}

double HnswSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                   std::size_t dim, std::size_t neighbors) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  const double graph = n / kMostParts;
  const double rows = n * RowsToAdd(graph) + q * RowsToSearch(kMostParts, graph, neighbors);
  return rows * RowNanoseconds(costs, dim) * kNanosecond;
}

double RollingSeconds(const EngineCosts& costs, std::size_t points, std::size_t arrivals,
                      std::size_t dim, std::size_t neighbors) {
  // Measured with 32 and 128 neighbors among 5000 and 20 000 points of 64 and 768 components: what
  // does not multiply waits for memory, as a walk in a graph does.
  const double pair =
      0.09 * costs.graph_row + 1.3 * costs.exact_component * static_cast<double>(dim);
  const double lists = 16 * costs.graph_row * static_cast<double>(neighbors);
  return static_cast<double>(arrivals) * (static_cast<double>(points) * pair + lists) * kNanosecond;
}

double GenerationsSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                          std::size_t arrivals, std::size_t dim, std::size_t neighbors) {
  constexpr std::size_t kGraphs = 3;  // on average, each of a quarter of the window
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  const auto fresh = static_cast<double>(arrivals);
  const double graph = n / (kGraphs + 1), rest = graph + fresh;
  if (rest > n / 2) return std::numeric_limits<double>::infinity();
  const double rows = fresh * RowsToAdd(graph) + q * RowsToSearch(kGraphs, graph, neighbors);
  return (rows * RowNanoseconds(costs, dim) + q * rest * PairNanoseconds(costs, dim)) * kNanosecond;
}

bool IsCloseCall(const EngineCosts& costs, std::size_t points, std::size_t queries, std::size_t dim,
                 std::size_t neighbors) {
  const double exact = ExactSeconds(costs, points, queries, dim);
  const double hnsw = HnswSeconds(costs, points, queries, dim, neighbors);
  return exact < 3 * hnsw && hnsw < 3 * exact;
}

}  // namespace dimwatch
