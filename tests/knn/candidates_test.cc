#include "src/knn/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

namespace dimwatch {
namespace {

using Offered = std::vector<std::pair<float, std::uint32_t>>;

std::vector<std::uint32_t> SmallestIds(Offered offered, std::size_t keep) {
  std::sort(offered.begin(), offered.end());
  std::vector<std::uint32_t> ids;
  for (std::size_t i = 0; i < std::min(keep, offered.size()); ++i) ids.push_back(offered[i].second);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<std::uint32_t> Sorted(std::span<const std::uint32_t> ids) {
  std::vector<std::uint32_t> sorted(ids.begin(), ids.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

TEST(CandidatesTest, KeepsTheSmallestInAnyOrderOfOffers) {
  std::mt19937_64 random(1);
  for (int values : {4, 1000, 1'000'000}) {  // few values: many ties
    Offered offered;
    for (std::uint32_t id = 0; id < 3000; ++id) {
      offered.emplace_back(static_cast<float>(random() % static_cast<unsigned>(values)), id);
    }
    const std::vector<std::uint32_t> expected = SmallestIds(offered, 37);
    for (int order = 0; order < 5; ++order) {
      Candidates candidates(2, 37);
      for (const auto& [distance, id] : offered) candidates.Offer(1, distance, id);
      EXPECT_EQ(Sorted(candidates.Finish(1)), expected);
      EXPECT_TRUE(candidates.Finish(0).empty());
      std::shuffle(offered.begin(), offered.end(), random);
    }
  }
}

TEST(CandidatesTest, OffersInRunsAreTheSameOffers) {
  std::mt19937_64 random(2);
  std::vector<float> distances(1003);
  for (float& distance : distances) distance = static_cast<float>(random() % 500);
  Candidates one_by_one(1, 20), together(1, 20);
  for (std::uint32_t i = 0; i < distances.size(); ++i) one_by_one.Offer(0, distances[i], 7 + i);
  together.OfferAll(0, distances.data(), distances.size(), 7);
  EXPECT_EQ(Sorted(together.Finish(0)), Sorted(one_by_one.Finish(0)));
  EXPECT_EQ(together.bounds()[0], one_by_one.bounds()[0]);
}

}  // namespace
}  // namespace dimwatch
