#include "src/lid/scale_profile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "src/knn/exact.h"
#include "src/knn/ranking.h"
#include "src/lid/global.h"
#include "src/lid/near_duplicates.h"
#include "src/lid/prepare_cloud.h"

namespace dimwatch {
namespace {

std::vector<std::uint32_t> Iota(std::size_t count) {
  std::vector<std::uint32_t> all(count);
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

double MeanDistance(const NeighborLists& lists, std::size_t near, std::size_t far) {
  double sum = 0;
  for (std::size_t q = 0; q < lists.queries(); ++q) {
    const std::span<const float> distances = lists.distances(q);
    sum += 0.5 * (static_cast<double>(distances[near]) + static_cast<double>(distances[far]));
  }
  return sum / static_cast<double>(lists.queries());
}

ScalePoint GrideAt(const NeighborLists& lists, std::span<const std::uint32_t> all,
                   std::size_t neighbors) {
  EstimatorSettings settings;
  settings.estimator = Estimator::kGride;
  settings.neighbors = static_cast<int>(neighbors);
  const GlobalDimension fit = EstimateGlobal(lists, all, all.size(), settings);
  return {.neighbors = static_cast<std::int64_t>(neighbors),
          .parts = 1,
          .points = static_cast<std::int64_t>(all.size()),
          .distance = MeanDistance(lists, neighbors / 2 - 1, neighbors - 1),
          .dimension = fit.dimension,
          .standard_error = fit.standard_error()};
}

// The points of part `part`: every `parts`-th. Point p is the (p / parts)-th of its part.
std::vector<std::uint32_t> PartOf(std::size_t points, std::size_t part, std::size_t parts) {
  std::vector<std::uint32_t> ids;
  for (std::size_t p = part; p < points; p += parts) ids.push_back(static_cast<std::uint32_t>(p));
  return ids;
}

// The two nearest inside the part of every point of the part: the first two in its own list that
// belong to the part, so the lists answer nearly always; the rest is searched.
NeighborLists NearestTwo(const CloudRows& cloud, const NeighborLists& lists,
                         std::span<const std::uint32_t> part, std::size_t parts) {
  NeighborLists nearest(part.size(), 2, 2);
  for (std::size_t i = 0; i < part.size(); ++i) {
    const std::span<const std::uint32_t> ids = lists.ids(part[i]);
    std::size_t found = 0;
    for (std::size_t j = 0; j < ids.size() && found < 2; ++j) {
      if (ids[j] % parts != part[i] % parts) continue;
      nearest.ids(i)[found] = ids[j];
      nearest.distances(i)[found++] = lists.distances(part[i])[j];
    }
    if (found < 2) {
      RankingKeys keys = Measure(cloud, part[i], part);
      FillList(keys, i, nearest);
    }
    for (std::uint32_t& id : nearest.ids(i)) id /= static_cast<std::uint32_t>(parts);
  }
  return nearest;
}

ScalePoint TwoNnAt(const CloudRows& cloud, const NeighborLists& lists, std::size_t parts,
                   ThreadPool& pool) {
  EstimatorSettings settings;
  settings.estimator = Estimator::kTwoNnGlobal;
  settings.fit = Fit::kMl;
  std::vector<ScalePoint> of_part(parts);
  pool.ParallelFor(parts, [&](std::size_t part) {
    const std::vector<std::uint32_t> ids = PartOf(cloud.points(), part, parts);
    const NeighborLists nearest = NearestTwo(cloud, lists, ids, parts);
    const GlobalDimension fit = EstimateGlobal(nearest, Iota(ids.size()), ids.size(), settings);
    of_part[part].distance = MeanDistance(nearest, 0, 1);
    of_part[part].dimension = fit.dimension;
    of_part[part].standard_error = fit.standard_error();
  });
  const auto count = static_cast<double>(parts);
  double distance = 0, dimension = 0, squared_error = 0;
  bool defined = true;
  for (const ScalePoint& part : of_part) {
    distance += part.distance / count;
    defined = defined && part.dimension && part.standard_error;
    if (!defined) continue;
    dimension += *part.dimension / count;
    squared_error += std::pow(*part.standard_error / count, 2);
  }
  ScalePoint point{.neighbors = 2,
                   .parts = static_cast<std::int64_t>(parts),
                   .points = static_cast<std::int64_t>(cloud.points() / parts),
                   .distance = distance,
                   .dimension = {},
                   .standard_error = {}};
  if (defined) point.dimension = dimension;
  if (defined) point.standard_error = std::sqrt(squared_error);
  return point;
}

}  // namespace

ScaleProfile ProfileScale(PointCloudView rows, const EstimatorSettings& settings,
                          ThreadPool& pool) {
  ScaleProfile profile;
  PreparedCloud prepared =
      PrepareCloud(rows, {}, std::min(settings.max_points, kMaxScalePoints), settings.seed, pool);
  if (settings.duplicate_tolerance > 0) {
    prepared = DropNearDuplicates(std::move(prepared), rows, settings, pool);
  }
  const std::size_t points = prepared.rows.points();
  if (points < 3) return profile;
  const std::size_t neighbors =
      std::bit_floor(std::min<std::size_t>(kMaxScaleNeighbors, points - 1));
  const std::vector<std::uint32_t> all = Iota(points);
  const NeighborLists lists = ExactEngine().Search(prepared.rows, all, neighbors, neighbors, pool);
  for (std::size_t far = 2; far <= neighbors; far *= 2) {
    profile.gride.push_back(GrideAt(lists, all, far));
  }
  profile.twonn.push_back(TwoNnAt(prepared.rows, lists, 1, pool));
  for (std::size_t parts = 2; points / parts >= kMinScaleSubsample; parts *= 2) {
    profile.twonn.push_back(TwoNnAt(prepared.rows, lists, parts, pool));
  }
  return profile;
}

}  // namespace dimwatch
