#include "src/knn/ranking.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "src/knn/distance.h"

namespace dimwatch {
namespace {

std::ptrdiff_t Offset(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }

// Keys [0, count) become the smallest.
void SelectSmallest(std::span<std::uint64_t> keys, std::size_t count) {
  if (count < keys.size()) {
    std::nth_element(keys.begin(), keys.begin() + Offset(count), keys.end());
  }
}

void MeasureAgain(const CloudRows& cloud, std::uint32_t point, std::span<std::uint64_t> keys) {
  static const SquaredDistanceFunction distance = BestSquaredDistance();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i + 1 < keys.size()) {
      PrefetchRow(cloud.row(static_cast<std::uint32_t>(keys[i + 1])), cloud.dim());
    }
    const auto id = static_cast<std::uint32_t>(keys[i]);
    keys[i] = RankingKey(distance(cloud.row(point), cloud.row(id), cloud.dim()), id);
  }
}

// The largest square of the `count` smallest keys, which come first. REQUIRES: 0 < count.
float LargestOf(std::span<std::uint64_t> keys, std::size_t count) {
  std::nth_element(keys.begin(), keys.begin() + Offset(count - 1), keys.end());
  return SquareOf(keys[count - 1]);
}

// Brings the keys first that satisfy `condition`, and returns how many they are.
template <typename Condition>
std::size_t BringFirst(std::span<std::uint64_t> keys, const Condition& condition) {
  const auto end = std::partition(keys.begin(), keys.end(), condition);
  return static_cast<std::size_t>(end - keys.begin());
}

void WriteEntries(std::span<const std::uint64_t> keys, std::size_t query, NeighborLists& lists) {
  const std::size_t ranked = lists.ranked();
  for (std::size_t j = 0; j < lists.neighbors(); ++j) {
    lists.ids(query)[j] = static_cast<std::uint32_t>(keys[j]);
  }
  for (std::size_t j = 0; j < ranked; ++j) {
    lists.distances(query)[j] = std::sqrt(SquareOf(keys[j]));
  }
  for (std::size_t j = ranked; j < lists.neighbors(); ++j) {
    lists.rough_squares(query)[j - ranked] = SquareOf(keys[j]);
  }
}

}  // namespace

std::uint64_t RankingKey(float squared_distance, std::uint32_t id) {
  return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(squared_distance)) << 32 | id;
}

float SquareOf(std::uint64_t key) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(key >> 32));
}

RankingKeys Measure(const CloudRows& cloud, std::uint32_t point,
                    std::span<const std::uint32_t> ids) {
  RankingKeys keys;
  keys.reserve(ids.size());
  for (const std::uint32_t id : ids) {
    if (id != point) keys.push_back(id);
  }
  MeasureAgain(cloud, point, keys);
  return keys;
}

void FillList(RankingKeys& keys, std::size_t query, NeighborLists& lists) {
  SelectSmallest(keys, lists.neighbors());
  const std::span list = std::span(keys).first(lists.neighbors());
  SelectSmallest(list, lists.ranked());
  std::sort(list.begin(), list.begin() + Offset(lists.ranked()));
  WriteEntries(list, query, lists);
}

bool FillList(const CloudRows& cloud, std::uint32_t point, RankingKeys& keys, float slack,
              float bound, std::size_t query, NeighborLists& lists) {
  if (keys.size() < lists.neighbors()) return false;
  // What is below `inner` belongs to the list, what is above `outer` does not.
  const float last = LargestOf(keys, lists.neighbors());
  const float inner = last - 2 * slack, outer = last + 2 * slack;
  if (!(outer < bound)) return false;
  const std::size_t sure =
      BringFirst(keys, [&](std::uint64_t key) { return SquareOf(key) < inner; });
  const std::span others = std::span(keys).subspan(sure);
  const std::size_t doubtful =
      BringFirst(others, [&](std::uint64_t key) { return SquareOf(key) <= outer; });
  if (sure + doubtful > lists.neighbors()) {
    MeasureAgain(cloud, point, others.first(doubtful));
    SelectSmallest(others.first(doubtful), lists.neighbors() - sure);
  }
  const std::span list = std::span(keys).first(lists.neighbors());
  const float last_ranked = LargestOf(list, lists.ranked());
  const std::size_t contenders =
      BringFirst(list, [&](std::uint64_t key) { return SquareOf(key) <= last_ranked + 2 * slack; });
  MeasureAgain(cloud, point, list.first(contenders));
  std::sort(list.begin(), list.begin() + Offset(contenders));
  WriteEntries(list, query, lists);
  lists.set_slack(query, slack);
  return true;
}

}  // namespace dimwatch
