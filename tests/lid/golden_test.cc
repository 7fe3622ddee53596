// Against scikit-dimension and DADApy; tests/golden/README.md says how the values were made.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "src/base/npy.h"
#include "src/knn/exact.h"
#include "src/lid/gride.h"
#include "src/lid/twonn.h"
#include "tests/lid/estimate.h"

namespace dimwatch {
namespace {

using testing::Estimate;
using testing::Settings;

constexpr double kPointTolerance = 1e-4;
constexpr double kMeanTolerance = 1e-5;

std::string File(const std::string& name) {
  return std::string(DIMWATCH_TESTS_DIR) + "/golden/" + name;
}

// A 1-d float64 array as numpy writes it with a header of 128 bytes.
std::vector<double> ReadVector(const std::string& name) {
  std::ifstream in(File(name), std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  std::vector<double> values((content.size() - 128) / sizeof(double));
  std::memcpy(values.data(), content.data() + 128, values.size() * sizeof(double));
  return values;
}

void ExpectClose(double got, double expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(got, expected, tolerance * std::fabs(expected)) << what;
}

class GoldenTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    name_ = GetParam();
    absl::StatusOr<PointCloud> cloud = ReadNpy(File(name_ + ".npy"));
    ASSERT_TRUE(cloud.ok()) << cloud.status();
    cloud_ = *std::move(cloud);
    std::ifstream in(File(name_ + ".json"));
    expected_ = nlohmann::json::parse(in);
  }

  void ExpectLocalTwoNn(int neighbors) {
    const std::string key = "twonn_local_k" + std::to_string(neighbors);
    for (const Cdf cdf : {Cdf::kPaper, Cdf::kUpper}) {
      const auto& values = expected_[key][std::string(Name(cdf))];
      PointwiseLid pointwise;
      const CloudEstimate estimate =
          Estimate(cloud_, Settings(Estimator::kTwoNn, neighbors, cdf), 1, &pointwise);
      ExpectClose(*estimate.mean, values["mean"], kMeanTolerance, key);
      ExpectClose(*estimate.std, values["std_ddof1"], kPointTolerance, key);
      EXPECT_EQ(estimate.invalid, 0);
      if (cdf == Cdf::kUpper) continue;
      const std::vector<double> points = ReadVector(name_ + "." + key + "_paper.npy");
      ASSERT_EQ(points.size(), pointwise.lid.size());
      for (std::size_t i = 0; i < points.size(); ++i) {
        ASSERT_EQ(pointwise.row[i], i);
        ExpectClose(pointwise.lid[i].value_or(0), points[i], kPointTolerance,
                    key + " of point " + std::to_string(i));
      }
    }
  }

  void ExpectRadial(Estimator estimator, int neighbors) {
    const std::string key = std::string(Name(estimator)) + "_k" + std::to_string(neighbors);
    PointwiseLid pointwise;
    const CloudEstimate estimate = Estimate(cloud_, Settings(estimator, neighbors), 1, &pointwise);
    const auto& values = expected_[key];
    ExpectClose(*estimate.mean, values["mean"], kMeanTolerance, key);
    for (std::size_t i = 0; i < 5; ++i) {
      ExpectClose(*pointwise.lid[i], values["first5"][i], kPointTolerance, key);
    }
    if (!values.contains("harmonic_mean")) return;
    double inverses = 0;
    for (const std::optional<double>& lid : pointwise.lid) inverses += 1 / *lid;
    ExpectClose(static_cast<double>(pointwise.lid.size()) / inverses, values["harmonic_mean"],
                kMeanTolerance, key);
  }

  std::string name_;
  PointCloud cloud_;
  nlohmann::json expected_;
};

TEST_P(GoldenTest, LocalTwoNnOfEveryPoint) {
  ExpectLocalTwoNn(64);
  ExpectLocalTwoNn(name_ == "sphere5_in128" ? 32 : 128);
}

TEST_P(GoldenTest, GlobalTwoNn) {
  for (const Cdf cdf : {Cdf::kPaper, Cdf::kUpper}) {
    const CloudEstimate estimate = Estimate(cloud_, Settings(Estimator::kTwoNnGlobal, 128, cdf));
    ExpectClose(*estimate.mean, expected_["twonn_global"][std::string(Name(cdf))], kMeanTolerance,
                "twonn_global");
  }
}

TEST_P(GoldenTest, MleAndMom) {
  for (const int neighbors : {20, 100}) {
    ExpectRadial(Estimator::kMle, neighbors);
    ExpectRadial(Estimator::kMom, neighbors);
  }
}

TEST_P(GoldenTest, GrideAtEveryScale) {
  const CloudRows rows(cloud_.view());
  std::vector<std::uint32_t> all;
  for (std::uint32_t p = 0; p < rows.points(); ++p) all.push_back(p);
  ThreadPool pool(1);
  const NeighborLists lists = ExactEngine().Search(rows, all, 256, 256, pool);
  const auto& scales = expected_["gride"]["n1"];
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const int n1 = scales[i];
    std::vector<double> log_mu;
    for (std::size_t p = 0; p < rows.points(); ++p) {
      log_mu.push_back(LogRatio(lists.distances(p)[static_cast<std::size_t>(n1) - 1],
                                lists.distances(p)[static_cast<std::size_t>(2 * n1) - 1]));
    }
    const std::optional<Gride> fit = FitGride(log_mu, n1);
    ASSERT_TRUE(fit);
    const std::string what = "gride at " + std::to_string(n1);
    ExpectClose(fit->dimension, expected_["gride"]["id"][i], kPointTolerance, what);
    ExpectClose(1 / std::sqrt(fit->information), expected_["gride"]["error"][i], kPointTolerance,
                what);
    if (n1 < 8) continue;
    ExpectClose(*Estimate(cloud_, Settings(Estimator::kGride, 2 * n1)).mean, fit->dimension, 1e-12,
                what);
  }
}

INSTANTIATE_TEST_SUITE_P(Clouds, GoldenTest,
                         ::testing::Values("gauss10_in64", "sphere5_in128", "curved12_in768",
                                           "digits_jitter_64"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace dimwatch
