// What must not change the result, and what must change it little.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <string>

#include "src/base/dtype.h"
#include "src/knn/exact.h"
#include "src/lid/pointwise.h"
#include "src/lid/scale_profile.h"
#include "src/lid/standard_error.h"
#include "tests/lid/estimate.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using testing::Estimate;
using testing::Settings;

constexpr Estimator kAll[] = {Estimator::kTwoNn, Estimator::kTwoNnGlobal, Estimator::kMle,
                              Estimator::kMom, Estimator::kGride};

PointCloud SomeCloud(std::uint64_t seed) {
  return testing::Embedded(testing::Gaussian(700, 6, seed), 24, seed + 1);
}

// Every estimator, TwoNN with both distribution functions and both fits.
std::vector<EstimatorSettings> AllSettings(int neighbors) {
  std::vector<EstimatorSettings> all;
  for (const Estimator estimator : kAll) all.push_back(Settings(estimator, neighbors));
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kTwoNnGlobal}) {
    all.push_back(Settings(estimator, neighbors, Cdf::kUpper));
    all.push_back(Settings(estimator, neighbors));
    all.back().fit = Fit::kMl;
  }
  return all;
}

void ExpectSameMeans(const PointCloud& cloud, const PointCloud& changed, double tolerance) {
  for (const EstimatorSettings& settings : AllSettings(32)) {
    const CloudEstimate before = Estimate(cloud, settings);
    const CloudEstimate after = Estimate(changed, settings);
    const auto expect_near = [&](std::optional<double> got, std::optional<double> expected) {
      ASSERT_EQ(got.has_value(), expected.has_value());
      if (!got) return;
      EXPECT_NEAR(*got, *expected, tolerance * *expected)
          << Name(settings.estimator) << " " << Name(settings.cdf) << " " << Name(settings.fit);
    };
    expect_near(after.mean, before.mean);
    expect_near(after.harmonic_mean, before.harmonic_mean);
  }
}

TEST(InvarianceTest, Rotation) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const PointCloud cloud = SomeCloud(seed);
    // Random plane rotations.
    PointCloud rotated = cloud;
    std::mt19937_64 random(seed);
    for (int turn = 0; turn < 200; ++turn) {
      const std::size_t a = random() % 24, b = (a + 1 + random() % 23) % 24;
      const auto angle = static_cast<float>(random() % 1000);
      for (std::size_t i = 0; i < cloud.points(); ++i) {
        float& x = rotated.data()[i * 24 + a];
        float& y = rotated.data()[i * 24 + b];
        const float turned = std::cos(angle) * x - std::sin(angle) * y;
        y = std::sin(angle) * x + std::cos(angle) * y;
        x = turned;
      }
    }
    ExpectSameMeans(cloud, rotated, 1e-4);
  }
}

TEST(InvarianceTest, Translation) {
  const PointCloud cloud = SomeCloud(4);
  PointCloud moved = cloud;
  for (float& value : moved.data()) value += 100;
  ExpectSameMeans(cloud, moved, 1e-4);
}

TEST(InvarianceTest, Scale) {
  const PointCloud cloud = SomeCloud(5);
  for (const float scale : {1.0f / 1024, 3.0f, 65'536.0f}) {
    PointCloud scaled = cloud;
    for (float& value : scaled.data()) value *= scale;
    ExpectSameMeans(cloud, scaled, 1e-5);
  }
}

TEST(InvarianceTest, ZeroPadding) {
  const PointCloud cloud = SomeCloud(7);
  std::vector<float> data(cloud.points() * 100);
  for (std::size_t i = 0; i < cloud.points(); ++i) {
    std::ranges::copy(cloud.view().row(i), data.begin() + static_cast<std::ptrdiff_t>(i * 100));
  }
  ExpectSameMeans(cloud, PointCloud(std::move(data), 100), 1e-6);
}

// Every component through `store`, which gives its 16 bits.
template <typename Store>
PointCloud Stored(const PointCloud& cloud, DType dtype, Store store) {
  std::string bytes;
  for (std::size_t i = 0; i < cloud.points(); ++i) {
    for (const float value : cloud.view().row(i)) {
      const std::uint16_t bits = store(value);
      bytes.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
    }
  }
  std::vector<float> data(cloud.points() * cloud.dim());
  DecodeComponents(dtype, bytes, data);
  return {std::move(data), cloud.dim()};
}

TEST(InvarianceTest, HalfAndBfloatStorageMoveEveryMeanByLessThanHalfAPercent) {
  const PointCloud cloud = testing::Embedded(testing::Gaussian(1500, 8, 8), 256, 9);
  const PointCloud half = Stored(cloud, DType::kF16, [](float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value) + 0x1000;  // rounds half up
    const std::uint32_t exponent = (bits >> 23) & 0xff;
    if (exponent < 113) return std::uint16_t{0};  // none of them is that small
    return static_cast<std::uint16_t>(((bits >> 16) & 0x8000) | ((exponent - 112) << 10) |
                                      ((bits >> 13) & 0x3ff));
  });
  ExpectSameMeans(cloud, half, 0.005);
  const PointCloud bfloat = Stored(cloud, DType::kBF16, [](float value) {
    return static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(value) + 0x8000) >> 16);
  });
  ExpectSameMeans(cloud, bfloat, 0.005);
}

void ExpectSameBits(const CloudEstimate& one, const CloudEstimate& other) {
  EXPECT_EQ(other.mean, one.mean);
  EXPECT_EQ(other.std, one.std);
  EXPECT_EQ(other.standard_error, one.standard_error);
  EXPECT_EQ(other.harmonic_mean, one.harmonic_mean);
  EXPECT_EQ(other.harmonic_mean_standard_error, one.harmonic_mean_standard_error);
  EXPECT_EQ(other.near_duplicates, one.near_duplicates);
  EXPECT_EQ(other.quantiles, one.quantiles);
  EXPECT_EQ(other.variance, one.variance);
  EXPECT_EQ(other.recall, one.recall);
}

TEST(DeterminismTest, ThreadsDoNotChangeABit) {
  const PointCloud cloud = testing::Embedded(testing::Gaussian(1500, 7, 10), 48, 11);
  for (EstimatorSettings settings : AllSettings(24)) {
    for (const IndexKind index : {IndexKind::kExact, IndexKind::kHnsw}) {
      settings.index = index;
      settings.max_points = 1100;
      PointwiseLid one_lid;
      const CloudEstimate one = Estimate(cloud, settings, 0, &one_lid);
      for (const std::size_t threads : {1, 4}) {  // two and five with the caller's
        PointwiseLid lid;
        ExpectSameBits(one, Estimate(cloud, settings, threads, &lid));
        EXPECT_EQ(lid.lid, one_lid.lid);
        EXPECT_EQ(lid.row, one_lid.row);
      }
    }
  }
}

// Which the search leaves open, and threads change.
TEST(DeterminismTest, TheOrderOfUnrankedEntriesDoesNotChangeABit) {
  const PointCloud cloud = SomeCloud(7);
  const CloudRows rows(cloud.view());
  std::vector<std::uint32_t> all(rows.points());
  std::iota(all.begin(), all.end(), 0u);
  ThreadPool pool(0);
  const NeighborLists lists = ExactEngine().Search(rows, all, 64, 8, pool);
  NeighborLists other = ExactEngine().Search(rows, all, 64, 8, pool);
  for (const std::uint32_t q : all) {
    std::ranges::reverse(other.ids(q).subspan(8));
    std::ranges::reverse(other.rough_squares(q));
  }
  const EstimatorSettings settings = Settings(Estimator::kTwoNn, 64);
  const PointwiseDimensions given = EstimatePointwise(rows, lists, all, settings, pool);
  const PointwiseDimensions turned = EstimatePointwise(rows, other, all, settings, pool);
  EXPECT_EQ(turned.lid, given.lid);
  const EstimateError error = ErrorOfMean(lists, all, rows.points(), given);
  const EstimateError same = ErrorOfMean(other, all, rows.points(), turned);
  EXPECT_EQ(same.standard_error, error.standard_error);
  EXPECT_EQ(same.shifts, error.shifts);
}

TEST(DeterminismTest, TheOrderOfTheRowsDoesNotChangeABit) {
  const PointCloud cloud = SomeCloud(6);
  ThreadPool pool(1);
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    std::vector<std::size_t> order(cloud.points());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
    std::vector<float> data;
    for (const std::size_t row : order) {
      data.insert(data.end(), cloud.view().row(row).begin(), cloud.view().row(row).end());
    }
    const PointCloud shuffled(std::move(data), 24);
    for (EstimatorSettings settings : AllSettings(24)) {
      settings.max_points = 500;
      settings.queries = seed == 1 ? 0 : 200;
      PointwiseLid given_lid, shuffled_lid;
      ExpectSameBits(Estimate(cloud, settings, 1, &given_lid),
                     Estimate(shuffled, settings, 1, &shuffled_lid));
      std::map<std::size_t, std::optional<double>> given, back;
      for (std::size_t q = 0; q < given_lid.row.size(); ++q) {
        given[given_lid.row[q]] = given_lid.lid[q];
        back[order[shuffled_lid.row[q]]] = shuffled_lid.lid[q];
      }
      EXPECT_EQ(back, given);
    }
    EXPECT_EQ(ProfileScale(shuffled.view(), {}, pool), ProfileScale(cloud.view(), {}, pool));
  }
}

TEST(EngineTest, HnswAgreesWithExactToWithinItsRecall) {
  const PointCloud cloud = testing::Embedded(testing::Gaussian(2000, 8, 12), 32, 13);
  EstimatorSettings settings = Settings(Estimator::kTwoNn, 32);
  const CloudEstimate exact = Estimate(cloud, settings);
  EXPECT_EQ(exact.settings.index, IndexKind::kExact);
  EXPECT_EQ(exact.recall, 1);
  settings.index = IndexKind::kHnsw;
  const CloudEstimate hnsw = Estimate(cloud, settings);
  EXPECT_EQ(hnsw.settings.index, IndexKind::kHnsw);
  EXPECT_GT(hnsw.recall, 0.97);
  EXPECT_NEAR(*hnsw.mean, *exact.mean, (0.002 + (1 - hnsw.recall)) * *exact.mean);
}

TEST(QueriesTest, SomeQueriesHaveTheValuesTheyHaveAmongAll) {
  const PointCloud cloud = SomeCloud(14);
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kMle, Estimator::kMom}) {
    EstimatorSettings settings = Settings(estimator, 20);
    PointwiseLid all, some;
    const CloudEstimate full = Estimate(cloud, settings, 1, &all);
    settings.queries = 150;
    const CloudEstimate part = Estimate(cloud, settings, 1, &some);
    EXPECT_EQ(part.queries, 150);
    EXPECT_EQ(part.points, 700);
    ASSERT_EQ(some.row.size(), 150u);
    for (std::size_t q = 0; q < 150; ++q) EXPECT_EQ(some.lid[q], all.lid[some.row[q]]);
    EXPECT_NEAR(*part.mean, *full.mean, 4 * *part.standard_error);
    EXPECT_GT(*part.standard_error, *full.standard_error);
  }
}

}  // namespace
}  // namespace dimwatch
