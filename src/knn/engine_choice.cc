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

constexpr int kRounds = 3;  // the fastest counts: what else runs only slows down
constexpr double kNanosecond = 1e-9;

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

struct Line {
  double at_zero = 0, slope = 0;
};
Line Through(double x1, double y1, double x2, double y2) {
  const double slope = std::max(0.0, (y2 - y1) / (x2 - x1));
  return {std::max(0.0, y1 - slope * x1), slope};
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

// What a pair costs: from two sizes, as what each point costs once is not of interest.
double ExactPairNanoseconds(std::size_t dim, const Clock& clock) {
  constexpr double kFew = 768, kMany = 2304;
  const double few =
      SearchNanoseconds(ExactEngine(), static_cast<std::size_t>(kFew), dim, 64, clock);
  const double many =
      SearchNanoseconds(ExactEngine(), static_cast<std::size_t>(kMany), dim, 64, clock);
  return std::max(0.0, many - few * kMany / kFew) / (kMany * (kMany - kFew) / 2);
}

// A look at a row that is in no cache, ahead of which others are read, as a walk does.
double ColdRowNanoseconds(const std::vector<float>& values, std::size_t dim, const Clock& clock) {
  constexpr std::size_t kLooks = 8192, kAhead = 8;
  const SquaredDistanceFunction square = RoughSquaredDistance();
  const std::size_t rows = values.size() / dim;
  std::minstd_rand random(1);
  std::vector<const float*> order(kLooks + kAhead);
  for (const float*& row : order) row = &values[random() % rows * dim];
  float sum = 0;
  const double all = Nanoseconds(clock, [&] {
    for (std::size_t i = 0; i < kLooks; ++i) {
      __builtin_prefetch(order[i + kAhead]);
      __builtin_prefetch(order[i + kAhead] + 16);
      sum += square(order[0], order[i], dim);
    }
  });
  return sum < 0 ? 0 : all / kLooks;
}

}  // namespace

EngineCosts MeasureEngineCosts(const Clock& clock) {
  constexpr std::size_t kNarrow = 32, kWide = 512;
  const Line exact = Through(kNarrow, ExactPairNanoseconds(kNarrow, clock), kWide,
                             ExactPairNanoseconds(kWide, clock));
  const std::vector<float> values = RandomValues(std::size_t{24} << 20);  // more than a cache holds
  const Line row = Through(kNarrow, ColdRowNanoseconds(values, kNarrow, clock), kWide,
                           ColdRowNanoseconds(values, kWide, clock));
  // A graph in the cache, of rows so short that all is the walk.
  constexpr std::size_t kPoints = 800, kShort = 8;
  const double walk = SearchNanoseconds(HnswEngine(1), kPoints, kShort, 64, clock) / kPoints /
                      (RowsToAdd(kPoints) + RowsToSearch(kPoints, 64));
  return {.exact_pair = exact.at_zero,
          .exact_component = exact.slope,
          .graph_row = walk + row.at_zero,
          .graph_component = row.slope};
}

double ExactSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                    std::size_t dim) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  return n * std::min(n / 2, q) *
         (costs.exact_pair + costs.exact_component * static_cast<double>(dim)) * kNanosecond;
}

double HnswSeconds(const EngineCosts& costs, std::size_t points, std::size_t queries,
                   std::size_t dim, std::size_t neighbors) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  const double rows = n * RowsToAdd(n) + q * RowsToSearch(n, neighbors);
  return rows * (costs.graph_row + costs.graph_component * static_cast<double>(dim)) * kNanosecond;
}

}  // namespace dimwatch
