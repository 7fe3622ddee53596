// Against scikit-dimension and DADApy; tests/golden/README.md says how the values were made.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

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

// What the definition says, without lists, in float64: TwoNN inside the neighborhood of a point.
double TwoNnByDefinition(PointCloudView cloud, std::size_t point, std::size_t neighbors, Cdf cdf,
                         Fit fit) {
  const auto distance = [&](std::size_t a, std::size_t b) {
    double squares = 0;
    for (std::size_t j = 0; j < cloud.dim(); ++j) {
      squares +=
          std::pow(static_cast<double>(cloud.row(a)[j]) - static_cast<double>(cloud.row(b)[j]), 2);
    }
    return std::sqrt(squares);
  };
  std::vector<std::pair<double, std::size_t>> patch;
  for (std::size_t other = 0; other < cloud.points(); ++other) {
    if (other != point) patch.emplace_back(distance(point, other), other);
  }
  std::ranges::sort(patch);
  patch.resize(neighbors);
  std::vector<double> x;
  for (const auto& [unused, a] : patch) {
    std::vector<double> inside;
    for (const auto& [also_unused, b] : patch) {
      if (b != a) inside.push_back(distance(a, b));
    }
    std::ranges::sort(inside);
    x.push_back(std::log(inside[1] / inside[0]));
  }
  std::ranges::sort(x);
  const std::size_t retained = neighbors * 9 / 10;
  const auto n = static_cast<double>(neighbors), K = static_cast<double>(retained);
  double sum = 0, xx = 0, xy = 0;
  for (std::size_t k = 1; k <= retained; ++k) {
    const auto below = static_cast<double>(cdf == Cdf::kPaper ? k - 1 : k);
    sum += x[k - 1];
    xx += x[k - 1] * x[k - 1];
    xy += x[k - 1] * -std::log(1 - below / n);
  }
  return fit == Fit::kMl ? (K - 1) / (sum + (n - K) * x[retained - 1]) : xy / xx;
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
      if (cdf == Cdf::kPaper || neighbors == 64) {
        ExpectPoints(pointwise, key + "_" + std::string(Name(cdf)));
      }
    }
  }

  // Every point against NAME.`key`.npy.
  void ExpectPoints(const PointwiseLid& pointwise, const std::string& key) {
    const std::vector<double> points = ReadVector(name_ + "." + key + ".npy");
    ASSERT_EQ(points.size(), pointwise.lid.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
      ASSERT_EQ(pointwise.row[i], i);
      ExpectClose(pointwise.lid[i].value_or(0), points[i], kPointTolerance,
                  key + " of point " + std::to_string(i));
    }
  }

  void ExpectRadial(Estimator estimator, int neighbors) {
    const std::string key = std::string(Name(estimator)) + "_k" + std::to_string(neighbors);
    PointwiseLid pointwise;
    const CloudEstimate estimate = Estimate(cloud_, Settings(estimator, neighbors), 1, &pointwise);
    const auto& values = expected_[key];
    ExpectClose(*estimate.mean, values["mean"], kMeanTolerance, key);
    ExpectPoints(pointwise, key);
    EXPECT_EQ(estimate.harmonic_mean.has_value(), values.contains("harmonic_mean"));
    if (!estimate.harmonic_mean) return;
    ExpectClose(*estimate.harmonic_mean, values["harmonic_mean"], kMeanTolerance, key);
  }

  std::string name_;
  PointCloud cloud_;
  nlohmann::json expected_;
};

TEST_P(GoldenTest, LocalTwoNnOfEveryPoint) {
  ExpectLocalTwoNn(64);
  ExpectLocalTwoNn(name_ == "sphere5_in128" ? 32 : 128);
}

TEST_P(GoldenTest, LocalTwoNnIsThatOfTheDefinitionWithBothFits) {
  for (const Fit fit : {Fit::kOls, Fit::kMl}) {
    for (const Cdf cdf : {Cdf::kPaper, Cdf::kUpper}) {
      EstimatorSettings settings = Settings(Estimator::kTwoNn, 48, cdf);
      settings.fit = fit;
      PointwiseLid pointwise;
      Estimate(cloud_, settings, 1, &pointwise);
      for (std::size_t i = 0; i < pointwise.lid.size(); i += 97) {
        ExpectClose(*pointwise.lid[i], TwoNnByDefinition(cloud_.view(), i, 48, cdf, fit),
                    kPointTolerance, std::string(Name(cdf)) + " " + std::string(Name(fit)));
      }
    }
  }
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
