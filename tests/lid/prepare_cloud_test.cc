#include "src/lid/prepare_cloud.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

std::vector<std::uint32_t> Sources(const CloudRows& rows) {
  std::vector<std::uint32_t> sources;
  for (std::size_t p = 0; p < rows.points(); ++p) sources.push_back(rows.source(p));
  return sources;
}

PreparedCloud Prepare(const PointCloud& cloud, std::int64_t max_points, std::int64_t seed = 0) {
  ThreadPool pool(1);
  return PrepareCloud(cloud.view(), max_points, seed, pool);
}

TEST(PrepareCloudTest, RejectsThenDeduplicatesThenSubsamples) {
  const PointCloud cloud({1, 2, NAN, 0, 1, 2, 3, 4, 3, 4, 5, 6}, 2);
  const PreparedCloud prepared = Prepare(cloud, 10);
  EXPECT_EQ(prepared.nonfinite_rows, 1);
  EXPECT_EQ(prepared.duplicate_rows, 2);
  EXPECT_EQ(Sources(prepared.rows), (std::vector<std::uint32_t>{0, 3, 5}));
  EXPECT_EQ(prepared.rows.row(1)[0], 3);
  EXPECT_EQ(Prepare(cloud, 2).rows.points(), 2u);
  EXPECT_EQ(Prepare(cloud, 2).duplicate_rows, 2);
}

TEST(PrepareCloudTest, MinusZeroEqualsZero) {
  EXPECT_EQ(Prepare(PointCloud({0.0f, 1, -0.0f, 1}, 2), 10).duplicate_rows, 1);
}

TEST(PrepareCloudTest, NearlyEqualRowsAreTwo) {
  EXPECT_EQ(Prepare(PointCloud({1, std::nextafterf(1, 2)}, 1), 10).duplicate_rows, 0);
}

TEST(PrepareCloudTest, ManyDuplicatesOfManyRowsAreAllFound) {
  const PointCloud cloud = testing::Grid(20'000, 3, 12, 1);  // 1728 cells
  EXPECT_EQ(Prepare(cloud, 1'000'000).rows.points(), 1728u);
}

TEST(PrepareCloudTest, TheSeedChoosesTheSample) {
  const PointCloud cloud = testing::Gaussian(500, 2, 1);
  EXPECT_EQ(Sources(Prepare(cloud, 100, 7).rows), Sources(Prepare(cloud, 100, 7).rows));
  EXPECT_NE(Sources(Prepare(cloud, 100, 7).rows), Sources(Prepare(cloud, 100, 8).rows));
  EXPECT_NE(Sources(Prepare(cloud, 100, 7).rows), Sources(Prepare(cloud, 100, -7).rows));
}

}  // namespace
}  // namespace dimwatch
