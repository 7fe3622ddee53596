#include "src/lid/scale_profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "src/base/npy.h"
#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

ScaleProfile Profile(const PointCloud& cloud, std::size_t threads = 1,
                     const EstimatorSettings& settings = {}) {
  ThreadPool pool(threads);
  return ProfileScale(cloud.view(), settings, pool);
}

// A line with Gaussian noise of this size in every component.
PointCloud NoisyLine(std::size_t points, std::size_t dim, float noise) {
  PointCloud cloud = testing::Gaussian(points, dim, 1);
  const PointCloud along = testing::Cube(points, 1, 2);
  for (float& value : cloud.data()) value *= noise;
  for (std::size_t i = 0; i < points; ++i) cloud.data()[i * dim] += along.view().row(i)[0];
  return cloud;
}

TEST(ScaleProfileTest, NoiseIsSeenFromNearAndTheLineFromAfar) {
  const ScaleProfile profile = Profile(NoisyLine(4000, 20, 1e-4f));
  ASSERT_EQ(profile.gride.size(), 8u);
  EXPECT_GT(*profile.gride.front().dimension, 5);
  EXPECT_NEAR(*profile.gride.back().dimension, 1, 0.1);
  ASSERT_EQ(profile.twonn.size(), 6u);  // 4000 to 125
  EXPECT_GT(*profile.twonn.front().dimension, 5);
  EXPECT_NEAR(*profile.twonn.back().dimension, 1, 0.25);
  for (std::size_t i = 1; i < profile.gride.size(); ++i) {
    EXPECT_GT(profile.gride[i].distance, profile.gride[i - 1].distance);
    EXPECT_LT(*profile.gride[i].dimension, *profile.gride[i - 1].dimension + 0.05);
  }
}

TEST(ScaleProfileTest, AFlatCubeHasOneDimensionAtAllSmallScales) {
  const ScaleProfile profile = Profile(testing::Cube(6000, 2, 3));
  for (const ScalePoint& point : profile.gride) {
    if (point.neighbors > 16) break;  // the edges are felt
    EXPECT_NEAR(*point.dimension, 2, 0.03 + 4 * *point.standard_error) << point.neighbors;
  }
  for (const ScalePoint& point : profile.twonn) {
    EXPECT_NEAR(*point.dimension, 2, 0.06 + 4 * *point.standard_error) << point.points;
  }
}

TEST(ScaleProfileTest, EveryPointIsTheEstimateWithItsSettings) {
  const PointCloud cloud = testing::Embedded(testing::Gaussian(1500, 6, 4), 24, 5);
  const ScaleProfile profile = Profile(cloud);
  for (const ScalePoint& point : profile.gride) {
    EXPECT_EQ(point.parts, 1);
    EXPECT_EQ(point.points, 1500);
    if (point.neighbors < kMinNeighbors) continue;
    const CloudEstimate estimate = testing::Estimate(
        cloud, testing::Settings(Estimator::kGride, static_cast<int>(point.neighbors)));
    EXPECT_EQ(point.dimension, estimate.mean);
    EXPECT_EQ(point.standard_error, estimate.standard_error);
  }
  EstimatorSettings settings = testing::Settings(Estimator::kTwoNnGlobal, 4);
  settings.fit = Fit::kMl;
  const CloudEstimate estimate = testing::Estimate(cloud, settings);
  EXPECT_EQ(profile.twonn.front().dimension, estimate.mean);
  EXPECT_EQ(profile.twonn.front().standard_error, estimate.standard_error);
}

// Points far apart from each other's lists: what is searched must be what the lists would say.
TEST(ScaleProfileTest, SubsamplesAreSearchedWhereTheListsAreTooShort) {
  PointCloud cloud = testing::Gaussian(4200, 3, 6);
  const ScaleProfile profile = Profile(cloud);
  ASSERT_EQ(profile.twonn.back().parts, 64);  // four members in a list, on average
  EXPECT_EQ(profile.twonn.back().points, 65);
  EXPECT_NEAR(*profile.twonn.back().dimension, 3, 0.35);
  EXPECT_LT(*profile.twonn.back().standard_error, 0.1);
}

TEST(ScaleProfileTest, TheErrorOfSubsamplesIsTheirSpreadOverDraws) {
  std::vector<double> sums(8), squares(8), errors(8);
  constexpr int kDraws = 30;
  for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
    const ScaleProfile profile = Profile(testing::Gaussian(600, 4, seed));
    for (std::size_t i = 0; i < profile.twonn.size(); ++i) {
      sums[i] += *profile.twonn[i].dimension;
      squares[i] += std::pow(*profile.twonn[i].dimension, 2);
      errors[i] += *profile.twonn[i].standard_error / kDraws;
    }
  }
  for (std::size_t i = 0; i < 4; ++i) {  // 600 to 75 points
    const double mean = sums[i] / kDraws;
    const double spread = std::sqrt((squares[i] - kDraws * mean * mean) / (kDraws - 1));
    EXPECT_GT(errors[i] / spread, 0.7) << i;
    EXPECT_LT(errors[i] / spread, 1.5) << i;
  }
}

TEST(ScaleProfileTest, ThreadsDoNotChangeABit) {
  const PointCloud cloud = testing::Embedded(testing::Gaussian(1200, 5, 7), 40, 8);
  const ScaleProfile one = Profile(cloud, 0);
  EXPECT_EQ(Profile(cloud, 1), one);
  EXPECT_EQ(Profile(cloud, 4), one);
}

TEST(ScaleProfileTest, SmallAndDegenerateCloudsHaveShortCurves) {
  EXPECT_TRUE(Profile(PointCloud(3)).gride.empty());
  EXPECT_TRUE(Profile(testing::Gaussian(2, 3, 1)).twonn.empty());
  const ScaleProfile three = Profile(testing::Gaussian(3, 3, 1));
  ASSERT_EQ(three.gride.size(), 1u);
  ASSERT_EQ(three.twonn.size(), 1u);
  std::vector<float> corners(20 * 20);
  for (std::size_t i = 0; i < 20; ++i) corners[i * 21] = 1;
  const ScaleProfile equidistant = Profile(PointCloud(corners, 20));
  ASSERT_EQ(equidistant.gride.size(), 4u);  // two to sixteen neighbors
  for (const ScalePoint& point : equidistant.gride) EXPECT_FALSE(point.dimension);
  EXPECT_FALSE(equidistant.twonn.front().dimension);
}

class ScaleProfileGoldenTest : public ::testing::TestWithParam<const char*> {};

// tests/golden/README.md says how the values were made.
TEST_P(ScaleProfileGoldenTest, IsThatOfDadapy) {
  const std::string file = std::string(DIMWATCH_TESTS_DIR) + "/golden/" + GetParam();
  const absl::StatusOr<PointCloud> cloud = ReadNpy(file + ".npy");
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  std::ifstream in(file + ".json");
  const nlohmann::json golden = nlohmann::json::parse(in);
  const nlohmann::json& gride = golden["gride"];
  const ScaleProfile profile = Profile(*cloud);
  ASSERT_EQ(profile.gride.size(), gride["n1"].size());
  for (std::size_t i = 0; i < profile.gride.size(); ++i) {
    const ScalePoint& point = profile.gride[i];
    const double dimension = gride["id"][i], radius = gride["mean_radius"][i];
    EXPECT_EQ(point.neighbors, 2 * gride["n1"][i].get<int>());
    EXPECT_NEAR(*point.dimension, dimension, 1e-4 * dimension) << point.neighbors;
    EXPECT_NEAR(point.distance, radius, 1e-5 * radius) << point.neighbors;
    // Fisher's information takes the ratios for independent.
    EXPECT_GT(*point.standard_error, 0.8 * gride["error"][i].get<double>()) << point.neighbors;
  }
  // DADApy's subsamples are others, and it discards no ratio.
  const nlohmann::json& twonn = golden["twonn_scaling"];
  ASSERT_LE(profile.twonn.size(), twonn["points"].size());
  for (std::size_t i = 0; i < profile.twonn.size(); ++i) {
    const ScalePoint& point = profile.twonn[i];
    const double dimension = twonn["id"][i], error = twonn["error"][i];
    const double radius = twonn["mean_radius"][i];
    EXPECT_NEAR(static_cast<double>(point.points), twonn["points"][i], 1);
    EXPECT_NEAR(*point.dimension, dimension, 3 * std::hypot(*point.standard_error, error));
    EXPECT_NEAR(point.distance, radius, i == 0 ? 1e-5 * radius : 0.02 * radius);
  }
}

INSTANTIATE_TEST_SUITE_P(Clouds, ScaleProfileGoldenTest,
                         ::testing::Values("gauss10_in64", "sphere5_in128", "curved12_in768",
                                           "digits_jitter_64"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace dimwatch
