#include "src/knn/exact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/knn/distance.h"
#include "tests/knn/search.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using testing::BruteForce;
using testing::SameLists;
using testing::SearchAll;

TEST(ExactEngineTest, EqualsBruteForce) {
  for (const std::size_t points : {2, 3, 17, 255, 513, 1200}) {
    for (const std::size_t dim : {1, 7, 65}) {
      const PointCloud cloud = testing::Gaussian(points, dim, points * dim);
      for (const std::size_t neighbors : {std::size_t{1}, points / 3 + 1, points - 1}) {
        EXPECT_TRUE(
            SameLists(SearchAll(ExactEngine(), cloud, neighbors), BruteForce(cloud, neighbors)))
            << points << " points, dimension " << dim << ", " << neighbors << " neighbors";
      }
    }
  }
}

TEST(ExactEngineTest, TiesAndDuplicatesAreOrderedById) {
  for (const int side : {2, 3, 10}) {
    const PointCloud cloud = testing::Grid(900, 4, side, 5);
    EXPECT_TRUE(SameLists(SearchAll(ExactEngine(), cloud, 30), BruteForce(cloud, 30))) << side;
  }
}

TEST(ExactEngineTest, HoldsWhereTheExpansionCancels) {
  // Two far clusters: the mean is in neither, and norms are a million times the distances.
  PointCloud cloud = testing::Gaussian(600, 20, 3);
  for (std::size_t i = 0; i < cloud.points(); ++i) {
    for (std::size_t j = 0; j < 20; ++j) cloud.data()[i * 20 + j] += i % 2 == 0 ? 3e4f : -3e4f;
  }
  EXPECT_TRUE(SameLists(SearchAll(ExactEngine(), cloud, 25), BruteForce(cloud, 25)));
}

TEST(ExactEngineTest, HoldsNearTheLimitsOfFloat) {
  for (const float scale : {1e-22f, 1e-18f, 1e18f, 1e30f}) {  // squares underflow, or overflow
    PointCloud cloud = testing::Gaussian(300, 5, 4);
    for (float& value : cloud.data()) value *= scale;
    EXPECT_TRUE(SameLists(SearchAll(ExactEngine(), cloud, 10), BruteForce(cloud, 10))) << scale;
  }
}

TEST(ExactEngineTest, ThreadsDoNotChangeAnything) {
  const PointCloud cloud = testing::Gaussian(1700, 30, 6);
  const NeighborLists one = SearchAll(ExactEngine(), cloud, 40, 0);
  for (const std::size_t threads : {1, 3}) {
    EXPECT_TRUE(SameLists(SearchAll(ExactEngine(), cloud, 40, threads), one)) << threads;
  }
}

TEST(ExactEngineTest, SomeQueriesHaveTheListsTheyHaveAmongAll) {
  const PointCloud cloud = testing::Gaussian(1300, 12, 8);
  const NeighborLists all = SearchAll(ExactEngine(), cloud, 33);
  const std::vector<std::uint32_t> queries = {0, 5, 511, 512, 513, 1024, 1299};
  ThreadPool pool(1);
  const NeighborLists some = ExactEngine().Search(CloudRows(cloud.view()), queries, 33, 33, pool);
  ASSERT_EQ(some.queries(), queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    EXPECT_TRUE(std::ranges::equal(some.ids(q), all.ids(queries[q])));
    EXPECT_TRUE(std::ranges::equal(some.distances(q), all.distances(queries[q])));
  }
}

// Checks lists of which some entries are ranked against the oracle's.
void ExpectFirstRanked(const PointCloud& cloud, const NeighborLists& got) {
  const CloudRows rows(cloud.view());
  const NeighborLists expected = BruteForce(cloud, got.neighbors());
  for (std::uint32_t p = 0; p < cloud.points(); ++p) {
    EXPECT_TRUE(
        std::ranges::equal(got.ids(p).first(got.ranked()), expected.ids(p).first(got.ranked())));
    EXPECT_TRUE(std::ranges::equal(got.distances(p), expected.distances(p).first(got.ranked())));
    std::vector<std::uint32_t> ids(got.ids(p).begin(), got.ids(p).end());
    std::vector<std::uint32_t> expected_ids(expected.ids(p).begin(), expected.ids(p).end());
    std::sort(ids.begin(), ids.end());
    std::sort(expected_ids.begin(), expected_ids.end());
    EXPECT_EQ(ids, expected_ids);
    for (std::size_t j = got.ranked(); j < got.neighbors(); ++j) {
      const float square = SquaredDistance(rows.row(p), rows.row(got.ids(p)[j]), rows.dim());
      EXPECT_LE(std::fabs(got.rough_squares(p)[j - got.ranked()] - square), got.slack(p));
    }
  }
}

TEST(ExactEngineTest, TheEntriesThatAreNotRankedAreTheOtherNearest) {
  ThreadPool pool(1);
  const std::vector<std::uint32_t> all = testing::AllPoints(900);
  for (const std::size_t ranked : {1, 7, 29}) {
    PointCloud far = testing::Gaussian(900, 20, 3);
    for (std::size_t i = 0; i < far.points(); ++i)
      far.data()[i * 20] += i % 2 == 0 ? 300.f : -300.f;
    for (const PointCloud& cloud :
         {testing::Gaussian(900, 40, 2), testing::Grid(900, 4, 10, 5), std::move(far)}) {
      ExpectFirstRanked(cloud,
                        ExactEngine().Search(CloudRows(cloud.view()), all, 30, ranked, pool));
    }
  }
}

TEST(ExactEngineTest, RowsThatAreLeftOutAreNobodysNeighbor) {
  const PointCloud cloud = testing::Gaussian(200, 3, 9);
  std::vector<std::uint32_t> odd;
  std::vector<float> odd_rows;
  for (std::uint32_t row = 1; row < 200; row += 2) {
    odd.push_back(row);
    odd_rows.insert(odd_rows.end(), cloud.view().row(row).begin(), cloud.view().row(row).end());
  }
  ThreadPool pool(0);
  const NeighborLists lists =
      ExactEngine().Search(CloudRows(cloud.view(), odd), testing::AllPoints(100), 9, 9, pool);
  EXPECT_TRUE(SameLists(lists, BruteForce(PointCloud(odd_rows, 3), 9)));
}

}  // namespace
}  // namespace dimwatch
