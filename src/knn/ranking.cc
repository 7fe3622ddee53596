#include "src/knn/ranking.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "src/knn/distance.h"

namespace dimwatch {
namespace {

std::uint64_t KeyOf(const CloudRows& cloud, std::uint32_t point, std::uint32_t id) {
  const float distance = SquaredDistance(cloud.row(point), cloud.row(id), cloud.dim());
  return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(distance)) << 32 | id;
}

}  // namespace

RankingKeys Measure(const CloudRows& cloud, std::uint32_t point,
                    std::span<const std::uint32_t> ids) {
  RankingKeys keys;
  keys.reserve(ids.size());
  for (const std::uint32_t id : ids) {
    if (id != point) keys.push_back(KeyOf(cloud, point, id));
  }
  return keys;
}

std::vector<RankingKeys> MeasureTogether(const CloudRows& cloud,
                                         std::span<const std::uint32_t> points,
                                         std::span<const std::span<const std::uint32_t>> ids) {
  // Counting sort by candidate: at[id] ends up one past the entries of `askers` for id.
  std::vector<std::uint32_t> at(cloud.points() + 1);
  for (const std::span<const std::uint32_t> of_point : ids) {
    for (const std::uint32_t id : of_point) ++at[id + 1];
  }
  std::partial_sum(at.begin(), at.end(), at.begin());
  std::vector<std::uint32_t> askers(at.back());
  std::vector<RankingKeys> keys(points.size());
  for (std::uint32_t p = 0; p < points.size(); ++p) {
    for (const std::uint32_t id : ids[p]) askers[at[id]++] = p;
    keys[p].reserve(ids[p].size());
  }
  std::uint32_t next = 0;
  for (std::uint32_t id = 0; id < cloud.points(); ++id) {
    for (; next < at[id]; ++next) {
      const std::uint32_t p = askers[next];
      keys[p].push_back(KeyOf(cloud, points[p], id));
    }
  }
  return keys;
}

float TakeNearest(RankingKeys& keys, std::span<std::uint32_t> list_ids,
                  std::span<float> list_distances) {
  const auto end = keys.begin() + static_cast<std::ptrdiff_t>(list_ids.size());
  if (end != keys.end()) std::nth_element(keys.begin(), end, keys.end());
  std::sort(keys.begin(), end);
  float distance = 0;
  for (std::size_t j = 0; j < list_ids.size(); ++j) {
    distance = std::bit_cast<float>(static_cast<std::uint32_t>(keys[j] >> 32));
    list_ids[j] = static_cast<std::uint32_t>(keys[j]);
    list_distances[j] = std::sqrt(distance);
  }
  return distance;
}

}  // namespace dimwatch
