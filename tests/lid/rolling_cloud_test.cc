#include "src/lid/rolling_cloud.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

using Row = std::vector<float>;

std::vector<Row> RowsOf(const PointCloud& cloud, float scale = 1, float shift = 0) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < cloud.points(); ++i) {
    const std::span<const float> row = cloud.view().row(i);
    rows.emplace_back(row.begin(), row.end());
    for (float& x : rows.back()) x = x * scale + shift;
  }
  return rows;
}

PointCloud CloudOf(const std::deque<Row>& rows, std::size_t dim) {
  PointCloud cloud(dim);
  for (const Row& row : rows) cloud.data().insert(cloud.data().end(), row.begin(), row.end());
  return cloud;
}

void ExpectSame(const CloudEstimate& got, const CloudEstimate& expected) {
  EXPECT_EQ(got.settings, expected.settings);
  EXPECT_EQ(got.mean, expected.mean);
  EXPECT_EQ(got.std, expected.std);
  EXPECT_EQ(got.standard_error, expected.standard_error);
  EXPECT_TRUE(std::isfinite(got.standard_error.value_or(0)));
  EXPECT_EQ(got.harmonic_mean, expected.harmonic_mean);
  EXPECT_EQ(got.quantiles, expected.quantiles);
  EXPECT_EQ(got.rows, expected.rows);
  EXPECT_EQ(got.nonfinite_rows, expected.nonfinite_rows);
  EXPECT_EQ(got.duplicate_rows, expected.duplicate_rows);
  EXPECT_EQ(got.points, expected.points);
  EXPECT_EQ(got.queries, expected.queries);
  EXPECT_EQ(got.invalid, expected.invalid);
  EXPECT_EQ(got.near_duplicates, expected.near_duplicates);
  EXPECT_EQ(got.variance, expected.variance);
  EXPECT_EQ(got.enough_points, expected.enough_points);
}

// A rolling cloud beside the plain rows, which are estimated from scratch after every update.
class Window {
 public:
  Window(EstimatorSettings settings, std::size_t dim, std::size_t threads)
      : settings_(settings), dim_(dim), pool_(threads), cloud_(settings, dim) {}

  void Update(std::size_t oldest, std::size_t newest, const std::vector<Row>& rows) {
    oldest = std::min(oldest, rows_.size());
    newest = std::min(newest, rows_.size() - oldest);
    rows_.erase(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(oldest));
    rows_.erase(rows_.end() - static_cast<std::ptrdiff_t>(newest), rows_.end());
    rows_.insert(rows_.end(), rows.begin(), rows.end());
    const PointCloud added = CloudOf({rows.begin(), rows.end()}, dim_);
    cloud_.Update(oldest, newest, added.view(), pool_);
    const PointCloud all = CloudOf(rows_, dim_);
    ExpectSame(cloud_.Estimate(pool_, clock_),
               *EstimateCloud(all.view(), settings_, pool_, clock_));
  }

  std::size_t size() const { return rows_.size(); }

 private:
  const EstimatorSettings settings_;
  const std::size_t dim_;
  const testing::ManualClock clock_;
  ThreadPool pool_;
  RollingCloud cloud_;
  std::deque<Row> rows_;
};

EstimatorSettings Exact(Estimator estimator, int neighbors) {
  EstimatorSettings settings;
  settings.estimator = estimator;
  settings.neighbors = neighbors;
  settings.index = IndexKind::kExact;
  return settings;
}

TEST(RollingCloudTest, EqualsRecomputingAtEveryStepForEveryEstimator) {
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kTwoNnGlobal, Estimator::kMle,
                                    Estimator::kMom, Estimator::kGride}) {
    Window window(Exact(estimator, 12), 9, 2);
    for (std::uint64_t step = 0; step < 25; ++step) {
      window.Update(window.size() > 150 ? 20 : 0, 0, RowsOf(testing::Gaussian(20, 9, step)));
      ASSERT_FALSE(::testing::Test::HasFailure()) << Name(estimator) << " step " << step;
    }
  }
}

// Duplicates of held and of expired rows, rows that are not finite, clusters, jumps, windows that
// empty at once, rewinds.
TEST(RollingCloudTest, EqualsRecomputingUnderRandomChangesOfEveryKind) {
  for (unsigned seed = 0; seed < 25; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return random() % n; };
    const std::size_t dim = 2 + below(12);
    EstimatorSettings settings = Exact(Estimator::kTwoNn, static_cast<int>(4 + below(20)));
    settings.cdf = below(2) == 0 ? Cdf::kPaper : Cdf::kUpper;
    settings.fit = below(2) == 0 ? Fit::kOls : Fit::kMl;
    Window window(settings, dim, seed % 3);
    std::vector<Row> seen;
    for (unsigned step = 0; step < 25; ++step) {
      const float scales[] = {1, 1, 1e-3f, 20}, shifts[] = {0, 0, 3, 500};
      std::vector<Row> rows = RowsOf(testing::Gaussian(below(40), dim, seed * 100 + step),
                                     scales[below(4)], shifts[below(4)]);
      for (Row& row : rows) {
        if (!seen.empty() && below(6) == 0) row = seen[below(static_cast<unsigned>(seen.size()))];
        if (below(20) == 0)
          row[below(static_cast<unsigned>(dim))] = std::numeric_limits<float>::quiet_NaN();
        seen.push_back(row);
      }
      window.Update(below(15) == 0 ? window.size() : below(30), below(5) == 0 ? below(40) : 0,
                    rows);
      ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << " step " << step;
    }
  }
}

TEST(RollingCloudTest, EqualsRecomputingOnAGridWhereMostDistancesAreEqual) {
  Window window(Exact(Estimator::kTwoNn, 10), 4, 1);
  for (std::uint64_t step = 0; step < 25; ++step) {
    window.Update(step > 6 ? 30 : 0, step % 7 == 6 ? 10 : 0, RowsOf(testing::Grid(30, 4, 5, step)));
    ASSERT_FALSE(::testing::Test::HasFailure()) << step;
  }
}

}  // namespace
}  // namespace dimwatch
