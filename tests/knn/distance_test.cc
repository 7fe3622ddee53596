#include "src/knn/distance.h"

#include <gtest/gtest.h>

#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

TEST(SquaredDistanceTest, IsExactToAFewUnitsInEveryDimension) {
  for (std::size_t dim = 1; dim < 200; ++dim) {
    const PointCloud cloud = testing::Gaussian(2, dim, dim);
    const float* const a = cloud.view().row(0).data();
    const float* const b = cloud.view().row(1).data();
    double expected = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      expected += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    }
    EXPECT_NEAR(SquaredDistance(a, b, dim), expected, 1e-6 * expected) << dim;
    EXPECT_EQ(SquaredDistance(a, b, dim), SquaredDistance(b, a, dim)) << dim;
    EXPECT_EQ(SquaredDistance(a, a, dim), 0) << dim;
  }
}

TEST(SquaredDistanceTest, DoesNotCancelFarFromTheOrigin) {
  const std::vector<float> a(64, 10'000.0f), b(64, 10'000.0f + 1.0f / 512);
  EXPECT_FLOAT_EQ(SquaredDistance(a.data(), b.data(), 64), 64 * (b[0] - a[0]) * (b[0] - a[0]));
}

}  // namespace
}  // namespace dimwatch
