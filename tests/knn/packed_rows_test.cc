#include "src/knn/packed_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

TEST(PackedRowsTest, ProductsOfEveryShapeAreThoseOfDoubles) {
  for (const std::size_t dim : {1, 15, 16, 17, 100}) {
    for (const std::size_t count : {1, 15, 16, 17, 33, 48, 64, 65, 130}) {
      const PointCloud right = testing::Gaussian(count, dim, 1);
      const PackedRows packed(right.view().data(), count, dim);
      ASSERT_EQ(packed.count(), count);
      for (const std::size_t rows : {0, 1, 5, 6, 7, 12, 20}) {
        const PointCloud left = testing::Gaussian(rows, dim, 2);
        std::vector<float> got(rows * count + 1, 77.0f);
        packed.Multiply(left.view().data(), rows, -2.0f, got.data());
        for (std::size_t i = 0; i < rows * count; ++i) {
          double expected = 0, size = 0;
          for (std::size_t k = 0; k < dim; ++k) {
            const double product = static_cast<double>(left.view().row(i / count)[k]) *
                                   static_cast<double>(right.view().row(i % count)[k]);
            expected -= 2 * product;
            size += std::fabs(2 * product);
          }
          ASSERT_NEAR(got[i], expected, 1e-6 * size) << dim << " " << count << " " << rows;
        }
        ASSERT_EQ(got.back(), 77.0f) << "nothing is written beyond the end";
      }
    }
  }
}

}  // namespace
}  // namespace dimwatch
