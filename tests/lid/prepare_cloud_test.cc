#include "src/lid/prepare_cloud.h"

#include <gtest/gtest.h>

#include <algorithm>
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
  return PrepareCloud(cloud.view(), {}, max_points, seed, pool);
}

TEST(PrepareCloudTest, RejectsThenDeduplicatesThenSubsamples) {
  const PointCloud cloud({1, 2, NAN, 0, 1, 2, 3, 4, 3, 4, 5, 6}, 2);
  const PreparedCloud prepared = Prepare(cloud, 10);
  EXPECT_EQ(prepared.nonfinite_rows, 1);
  EXPECT_EQ(prepared.duplicate_rows, 2);
  std::vector<std::uint32_t> sources = Sources(prepared.rows);
  std::sort(sources.begin(), sources.end());
  EXPECT_EQ(sources, (std::vector<std::uint32_t>{0, 3, 5}));
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

TEST(PrepareCloudTest, TheOrderOfTheRowsPlaysNoPart) {
  const PointCloud cloud = testing::Gaussian(300, 3, 1);
  std::vector<float> reversed;
  for (std::size_t row = cloud.points(); row-- > 0;) {
    reversed.insert(reversed.end(), cloud.view().row(row).begin(), cloud.view().row(row).end());
  }
  const PointCloud other(std::move(reversed), 3);
  for (const std::int64_t max_points : {100, 300}) {
    const PreparedCloud first = Prepare(cloud, max_points), second = Prepare(other, max_points);
    ASSERT_EQ(first.rows.points(), second.rows.points());
    for (std::size_t p = 0; p < first.rows.points(); ++p) {
      ASSERT_EQ(first.rows.source(p), 299 - second.rows.source(p));
    }
  }
}

TEST(PrepareCloudTest, RowIdsChooseTheSameInputsWhateverTheRowsHold) {
  std::vector<std::int64_t> ids(500);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(7 * i);
  ThreadPool pool(0);
  const PointCloud before = testing::Gaussian(500, 2, 1), after = testing::Gaussian(500, 2, 2);
  std::vector<std::uint32_t> first = Sources(PrepareCloud(before.view(), ids, 50, 3, pool).rows);
  std::vector<std::uint32_t> second = Sources(PrepareCloud(after.view(), ids, 50, 3, pool).rows);
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
}

TEST(PrepareCloudTest, TheSeedChoosesTheSample) {
  const PointCloud cloud = testing::Gaussian(500, 2, 1);
  EXPECT_EQ(Sources(Prepare(cloud, 100, 7).rows), Sources(Prepare(cloud, 100, 7).rows));
  EXPECT_NE(Sources(Prepare(cloud, 100, 7).rows), Sources(Prepare(cloud, 100, 8).rows));
  EXPECT_NE(Sources(Prepare(cloud, 100, 7).rows), Sources(Prepare(cloud, 100, -7).rows));
}

}  // namespace
}  // namespace dimwatch
