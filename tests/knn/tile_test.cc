#include "src/knn/tile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

TEST(CompleteTileRowTest, GivesSquaresAndWhoseBoundsTheyMeet) {
  for (std::size_t columns = 1; columns < 70; ++columns) {
    const PointCloud random = testing::Gaussian(3, columns, columns);
    const PointCloudView view = random.view();
    std::vector<float> row(view.row(0).begin(), view.row(0).end());
    std::vector<float> norms(view.row(1).begin(), view.row(1).end());
    std::vector<float> bounds(view.row(2).begin(), view.row(2).end());
    std::vector<std::uint16_t> row_hits(columns / kHitColumns + 1), column_hits(row_hits);
    CompleteTileRow(row, 0.5f, norms.data(), 0.7f, bounds.data(), row_hits.data(),
                    column_hits.data());
    for (std::size_t j = 0; j < columns; ++j) {
      const auto bit = [&](const std::vector<std::uint16_t>& hits) {
        return (hits[j / kHitColumns] >> j % kHitColumns & 1) != 0;
      };
      EXPECT_EQ(row[j], std::max(0.0f, (0.5f + norms[j]) + view.row(0)[j]));
      EXPECT_EQ(bit(row_hits), row[j] <= 0.7f) << columns << " " << j;
      EXPECT_EQ(bit(column_hits), row[j] <= bounds[j]) << columns << " " << j;
    }
  }
}

}  // namespace
}  // namespace dimwatch
