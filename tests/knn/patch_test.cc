#include "src/knn/patch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/knn/distance.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TwoSmallest ByAllPairs(const CloudRows& cloud, std::span<const std::uint32_t> members,
                       std::uint32_t member) {
  std::vector<float> squares{kInfinity, kInfinity};
  for (const std::uint32_t other : members) {
    if (other == member) continue;
    squares.push_back(SquaredDistance(cloud.row(member), cloud.row(other), cloud.dim()));
  }
  std::sort(squares.begin(), squares.end());
  return {std::sqrt(squares[0]), std::sqrt(squares[1])};
}

void ExpectAsAllPairs(const PointCloud& cloud, std::size_t members) {
  const CloudRows rows(cloud.view());
  std::vector<std::uint32_t> patch;
  for (std::uint32_t i = 0; i < members; ++i) patch.push_back(i * 3 % 100);
  std::vector<TwoSmallest> found(members);
  PatchSearch search;
  search.Search(rows, patch, found);
  for (std::size_t m = 0; m < members; ++m) {
    const TwoSmallest expected = ByAllPairs(rows, patch, patch[m]);
    EXPECT_EQ(found[m].first, expected.first) << m;
    EXPECT_EQ(found[m].second, expected.second) << m;
  }
}

TEST(PatchSearchTest, FindsWhatAllPairsGiveToTheLastBit) {
  ExpectAsAllPairs(testing::Gaussian(100, 3, 1), 40);
  ExpectAsAllPairs(testing::Gaussian(100, 300, 2), 64);
  ExpectAsAllPairs(testing::Grid(100, 4, 3, 3), 50);  // equal rows, equal distances
}

TEST(PatchSearchTest, DoesNotLoseSmallDistancesInLargeOnes) {
  PointCloud cloud = testing::Gaussian(100, 200, 4);
  for (std::size_t i = 0; i < 100; ++i) {
    for (std::size_t j = 0; j < 200; ++j) {
      float& value = cloud.data()[i * 200 + j];
      // All far from the origin; pairs of near-duplicates far from each other.
      if (i % 6 == 3) value = cloud.data()[(i - 3) * 200 + j] * (1 + 1e-5f);
      value += i % 6 == 3 ? 0.0f : 1000.0f;
    }
  }
  ExpectAsAllPairs(cloud, 40);
}

TEST(PatchSearchTest, TwoMembersHaveOneNeighborEach) {
  ExpectAsAllPairs(testing::Gaussian(100, 5, 5), 2);
  ExpectAsAllPairs(testing::Gaussian(100, 5, 5), 1);
}

}  // namespace
}  // namespace dimwatch
