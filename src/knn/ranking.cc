#include "src/knn/ranking.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "src/knn/distance.h"

namespace dimwatch {

float RankNeighbors(const CloudRows& cloud, std::uint32_t point, std::span<const std::uint32_t> ids,
                    std::span<std::uint32_t> list_ids, std::span<float> list_distances) {
  // A distance's bits above an id: a non-negative float is ordered as its bits are.
  thread_local std::vector<std::uint64_t> keys;
  keys.clear();
  for (const std::uint32_t id : ids) {
    if (id == point) continue;
    const float distance = SquaredDistance(cloud.row(point), cloud.row(id), cloud.dim());
    keys.push_back(static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(distance)) << 32 | id);
  }
  const auto count = static_cast<std::ptrdiff_t>(list_ids.size());
  std::partial_sort(keys.begin(), keys.begin() + count, keys.end());
  float distance = 0;
  for (std::size_t j = 0; j < list_ids.size(); ++j) {
    distance = std::bit_cast<float>(static_cast<std::uint32_t>(keys[j] >> 32));
    list_ids[j] = static_cast<std::uint32_t>(keys[j]);
    list_distances[j] = std::sqrt(distance);
  }
  return distance;
}

}  // namespace dimwatch
