#include "src/knn/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace dimwatch {
namespace {

std::vector<float> RandomDistances(std::size_t count, unsigned values, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> distances(count);
  for (float& distance : distances) distance = static_cast<float>(random() % values);
  return distances;
}

std::vector<float> SquaresIn(const Candidates& candidates, std::size_t row) {
  std::vector<float> squares(candidates.squares(row).begin(), candidates.squares(row).end());
  std::sort(squares.begin(), squares.end());
  return squares;
}

TEST(CandidatesTest, KeepsTheSmallest) {
  for (const unsigned values : {4u, 1000u, 1'000'000u}) {  // few values: many ties
    std::vector<float> offered = RandomDistances(3001, values, values);
    Candidates candidates(2, 37);
    for (std::uint32_t id = 0; id < 3001; ++id) candidates.Offer(1, offered[id], id, 37);
    const std::vector<float> kept = SquaresIn(candidates, 1);
    ASSERT_GE(kept.size(), 37u);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(offered[candidates.ids(1)[i]], candidates.squares(1)[i]);
    }
    std::sort(offered.begin(), offered.end());
    EXPECT_TRUE(std::equal(kept.begin(), kept.begin() + 37, offered.begin()));
    EXPECT_TRUE(candidates.squares(0).empty());
  }
}

TEST(CandidatesTest, NothingBelowTheBoundIsDroppedWithSmallTargets) {
  std::vector<float> offered = RandomDistances(3000, 5000, 2);
  Candidates candidates(1, 40);
  for (std::uint32_t id = 0; id < 3000; ++id) {
    candidates.Offer(0, offered[id], id, std::min<std::size_t>(40, 1 + id / 50));
  }
  const std::vector<float> kept = SquaresIn(candidates, 0);
  std::sort(offered.begin(), offered.end());
  const auto below = std::lower_bound(offered.begin(), offered.end(), candidates.bounds()[0]);
  ASSERT_LE(static_cast<std::size_t>(below - offered.begin()), kept.size());
  EXPECT_TRUE(std::equal(offered.begin(), below, kept.begin()));
  EXPECT_NE(below, offered.end());
}

}  // namespace
}  // namespace dimwatch
