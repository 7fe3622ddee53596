// Mean local TwoNN of clouds of known dimension: the ideal is the dimension, the bias of finite
// clouds is known. 3000 points; tolerances are four times the spread from draw to draw.
#include <gtest/gtest.h>

#include <string>

#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

struct Expected {
  std::size_t dimension;
  double cube_paper, cube_upper, sphere_paper, sphere_upper, gaussian_paper, gaussian_upper;
};

constexpr Expected kExpected[] = {
    {1, 0.97, 1.02, 0.97, 1.02, 0.97, 1.02},  {2, 1.87, 1.97, 1.89, 1.99, 1.89, 1.99},
    {5, 4.32, 4.55, 4.45, 4.68, 4.48, 4.71},  {10, 7.61, 8.00, 8.05, 8.46, 8.07, 8.48},
    {20, 12.9, 13.6, 13.8, 14.5, 13.7, 14.4},
};

double MeanLid(const PointCloud& cloud, Cdf cdf) {
  return *testing::Estimate(cloud, testing::Settings(Estimator::kTwoNn, 64, cdf)).mean;
}

class ExpectedValuesTest : public ::testing::TestWithParam<Expected> {
 protected:
  static void ExpectNear(const PointCloud& cloud, double paper, double upper) {
    const double tolerance = 0.02 + 0.055 * paper;
    EXPECT_NEAR(MeanLid(cloud, Cdf::kPaper), paper, tolerance);
    EXPECT_NEAR(MeanLid(cloud, Cdf::kUpper), upper, tolerance);
  }
};

TEST_P(ExpectedValuesTest, Cube) {
  const Expected& expected = GetParam();
  ExpectNear(testing::Cube(3000, expected.dimension, 11), expected.cube_paper, expected.cube_upper);
}

TEST_P(ExpectedValuesTest, Sphere) {
  const Expected& expected = GetParam();
  ExpectNear(testing::Sphere(3000, expected.dimension, 12), expected.sphere_paper,
             expected.sphere_upper);
}

TEST_P(ExpectedValuesTest, Gaussian) {
  const Expected& expected = GetParam();
  ExpectNear(testing::Gaussian(3000, expected.dimension, 13), expected.gaussian_paper,
             expected.gaussian_upper);
}

INSTANTIATE_TEST_SUITE_P(Dimensions, ExpectedValuesTest, ::testing::ValuesIn(kExpected),
                         [](const auto& test) {
                           return "d" + std::to_string(test.param.dimension);
                         });

TEST(CdfTest, TheUpperFormIsHigherByAKnownFactor) {
  for (const auto& [neighbors, factor] : {std::pair(64, 1.0515), std::pair(128, 1.0258)}) {
    const PointCloud cloud = testing::Gaussian(2000, 10, 14);
    const double paper =
        *testing::Estimate(cloud, testing::Settings(Estimator::kTwoNn, neighbors)).mean;
    const double upper =
        *testing::Estimate(cloud, testing::Settings(Estimator::kTwoNn, neighbors, Cdf::kUpper))
             .mean;
    EXPECT_NEAR(upper / paper, factor, 0.001);
  }
}

}  // namespace
}  // namespace dimwatch
