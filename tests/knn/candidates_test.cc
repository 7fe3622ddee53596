#include "src/knn/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

namespace dimwatch {
namespace {

std::vector<float> RandomDistances(std::size_t count, unsigned values, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> distances(count);
  for (float& distance : distances) distance = static_cast<float>(random() % values);
  return distances;
}

std::vector<float> SortedOf(const std::vector<float>& distances,
                            std::span<const std::uint32_t> ids) {
  std::vector<float> of_ids;
  for (const std::uint32_t id : ids) of_ids.push_back(distances[id]);
  std::sort(of_ids.begin(), of_ids.end());
  return of_ids;
}

TEST(CandidatesTest, KeepsTheSmallest) {
  for (const unsigned values : {4u, 1000u, 1'000'000u}) {  // few values: many ties
    const std::vector<float> distances = RandomDistances(3001, values, values);
    std::vector<float> smallest = distances;
    std::sort(smallest.begin(), smallest.end());
    smallest.resize(37);
    Candidates one_by_one(2, 37), together(2, 37);
    for (std::uint32_t id = 0; id < 3001; ++id) one_by_one.Offer(1, distances[id], id, 37);
    together.OfferAll(1, distances, 0, 37);
    EXPECT_EQ(SortedOf(distances, one_by_one.Finish(1)), smallest);
    EXPECT_EQ(SortedOf(distances, together.Finish(1)), smallest);
    EXPECT_EQ(together.bounds()[1], smallest.back());
    EXPECT_TRUE(together.Finish(0).empty());
  }
}

TEST(CandidatesTest, NothingBelowTheBoundIsDroppedWithSmallTargets) {
  const std::vector<float> distances = RandomDistances(3000, 5000, 2);
  Candidates candidates(1, 40);
  std::size_t target = 1;
  for (std::uint32_t id = 0; id < 3000; id += 100) {
    candidates.OfferAll(0, std::span(distances).subspan(id, 100), id, target);
    target = std::min<std::size_t>(40, target + 2);
  }
  const std::vector<float> kept = SortedOf(distances, candidates.Finish(0));
  std::vector<float> below;
  for (const float distance : distances) {
    if (distance < candidates.bounds()[0]) below.push_back(distance);
  }
  std::sort(below.begin(), below.end());
  ASSERT_LE(below.size(), kept.size());
  EXPECT_TRUE(std::equal(below.begin(), below.end(), kept.begin()));
}

}  // namespace
}  // namespace dimwatch
