#include "src/knn/hnsw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

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
  EXPECT_GT(MeasureRecall(rows, testing::AllPoints(3000), lists, 1, pool).ratio, 0.99);
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

TEST(HnswEngineTest, TwoGraphsFindNearlyAllWhereverTheNeighborsAre) {
  // In order of their first component: the neighbors of most points are all in one graph.
  PointCloud cloud = testing::Gaussian(8192, 6, 8);
  for (std::size_t p = 0; p < 8192; ++p) cloud.data()[p * 6] += 0.01f * static_cast<float>(p);
  const CloudRows rows(cloud.view());
  std::vector<std::uint32_t> queries;
  for (std::uint32_t p = 0; p < 8192; p += 16) queries.push_back(p);
  ThreadPool pool(1);
  const NeighborLists lists = HnswEngine(1).Search(rows, queries, 64, 64, pool);
  const Recall recall = MeasureRecall(rows, queries, lists, 1, pool);
  EXPECT_GT(recall.ratio, 0.99);
  EXPECT_GT(recall.low, 0.98);
}

TEST(HnswEngineTest, MoreEffortFindsMore) {
  const PointCloud cloud = testing::Gaussian(4000, 40, 9);
  const CloudRows rows(cloud.view());
  std::vector<std::uint32_t> queries(200);
  std::iota(queries.begin(), queries.end(), 0u);
  ThreadPool pool(0);
  const auto recall = [&](std::size_t effort) {
    const NeighborLists lists = HnswEngine(1, effort).Search(rows, queries, 20, 20, pool);
    return MeasureRecall(rows, queries, lists, 1, pool).ratio;
  };
  const double less = recall(1);
  EXPECT_LT(less, 0.99);  // a hard cloud
  EXPECT_GT(recall(4), less + 0.005);
}

}  // namespace
}  // namespace dimwatch
