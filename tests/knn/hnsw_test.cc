#include "src/knn/hnsw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/knn/distance.h"
#include "src/knn/exact.h"
#include "src/knn/recall.h"
#include "tests/knn/search.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using testing::SameLists;
using testing::SearchAll;

TEST(HnswEngineTest, FindsNearlyAllWithTrueDistances) {
  const PointCloud cloud = testing::Embedded(testing::Gaussian(3000, 8, 1), 40, 2);
  const CloudRows rows(cloud.view());
  const NeighborLists lists = SearchAll(HnswEngine(1), cloud, 32);
  ThreadPool pool(0);
  EXPECT_GT(MeasureRecall(rows, testing::AllPoints(3000), lists, 1, pool), 0.98);
  for (std::size_t p = 0; p < rows.points(); p += 100) {
    EXPECT_TRUE(std::ranges::is_sorted(lists.distances(p)));
    for (std::size_t j = 0; j < 32; ++j) {
      const std::uint32_t id = lists.ids(p)[j];
      EXPECT_NE(id, p);
      EXPECT_EQ(lists.distances(p)[j],
                std::sqrt(SquaredDistance(rows.row(p), rows.row(id), rows.dim())));
    }
  }
}

TEST(HnswEngineTest, TheSameSeedGivesTheSameListsWithAnyThreads) {
  const PointCloud cloud = testing::Gaussian(1000, 16, 3);
  const NeighborLists first = SearchAll(HnswEngine(5), cloud, 20, 0);
  EXPECT_TRUE(SameLists(SearchAll(HnswEngine(5), cloud, 20, 3), first));
}

TEST(HnswEngineTest, FarApartClustersAndDuplicatesStillGetFullLists) {
  PointCloud cloud = testing::Grid(600, 3, 3, 4);
  for (std::size_t i = 0; i < 300; ++i) cloud.data()[i * 3] += 1e6f;
  const NeighborLists lists = SearchAll(HnswEngine(1), cloud, 50);
  for (std::size_t p = 0; p < 600; ++p) {
    std::vector<std::uint32_t> ids(lists.ids(p).begin(), lists.ids(p).end());
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end()) << p;
  }
}

TEST(RecallTest, IsTheShareOfTrueNeighborsFound) {
  const PointCloud cloud = testing::Gaussian(500, 10, 7);
  const CloudRows rows(cloud.view());
  NeighborLists lists = SearchAll(ExactEngine(), cloud, 10);
  ThreadPool pool(0);
  EXPECT_EQ(MeasureRecall(rows, testing::AllPoints(500), lists, 1, pool), 1);
  const NeighborLists farther = SearchAll(ExactEngine(), cloud, 12);
  for (std::size_t p = 0; p < 500; ++p) {  // the two nearest are missed
    std::ranges::copy(farther.ids(p).subspan(2), lists.ids(p).begin());
    std::ranges::copy(farther.distances(p).subspan(2), lists.distances(p).begin());
  }
  EXPECT_NEAR(MeasureRecall(rows, testing::AllPoints(500), lists, 1, pool), 0.8, 1e-12);
}

}  // namespace
}  // namespace dimwatch
