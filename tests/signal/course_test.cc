#include "src/signal/course.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dimwatch {
namespace {

EstimatePoint Point(std::int64_t step, double mean, std::optional<double> error = std::nullopt,
                    std::optional<double> paired_error = std::nullopt) {
  EstimatePoint point;
  point.step = Step{step};
  point.mean = mean;
  point.standard_error = error;
  point.paired_change_standard_error = paired_error;
  return point;
}

Course CourseOf(const std::vector<double>& means, std::optional<double> error = std::nullopt) {
  Course course{SignalSettings()};
  std::int64_t step = 0;
  for (const double mean : means) course.Observe(Point(step++, mean, error));
  return course;
}

TEST(CourseTest, ThresholdIsTheLargerOfNoiseAndMinDelta) {
  const Course quiet = CourseOf({10, 11}, 0.03);
  EXPECT_DOUBLE_EQ(quiet.Threshold(quiet.start(), quiet.current()), 0.05 * 10);
  const Course noisy = CourseOf({10, 11}, 0.3);
  EXPECT_DOUBLE_EQ(noisy.Threshold(noisy.start(), noisy.current()), 3 * std::hypot(0.3, 0.3));
  const Course unknown = CourseOf({10, 11});
  EXPECT_DOUBLE_EQ(unknown.Threshold(unknown.start(), unknown.current()), 0.05 * 10);
}

TEST(CourseTest, PairedChangesShrinkTheErrorOfADifference) {
  Course course{SignalSettings()};
  course.Observe(Point(0, 10, 1.0));
  course.Observe(Point(1, 10, 1.0, 0.3));
  course.Observe(Point(2, 10, 1.0, 0.4));
  EXPECT_DOUBLE_EQ(DifferenceError(course.start(), course.current()), 0.5);
}

TEST(CourseTest, LongPathIsNoBetterThanIndependentErrors) {
  Course course{SignalSettings()};
  course.Observe(Point(0, 10, 0.1));
  for (std::int64_t step = 1; step < 100; ++step) course.Observe(Point(step, 10, 0.1, 0.1));
  EXPECT_DOUBLE_EQ(DifferenceError(course.start(), course.current()), std::hypot(0.1, 0.1));
}

TEST(CourseTest, BrokenChainFallsBackToIndependentErrors) {
  Course course{SignalSettings()};
  course.Observe(Point(0, 10, 1.0));
  course.Observe(Point(1, 10, 1.0, 0.1));
  course.BreakChain();
  course.Observe(Point(3, 10, 1.0, 0.1));
  EXPECT_DOUBLE_EQ(DifferenceError(course.start(), course.current()), std::hypot(1.0, 1.0));
}

TEST(CourseTest, ExtremesAreTheFirstOfEquals) {
  const Course course = CourseOf({5, 9, 9, 3, 3, 4});
  EXPECT_EQ(course.highest().step, Step{1});
  EXPECT_EQ(course.lowest().step, Step{3});
  EXPECT_EQ(course.lowest_since_highest().step, Step{3});
}

TEST(CourseTest, StaysNearItsMinimumUntilTheMedianOfThreeLeavesIt) {
  const auto near = [](const std::vector<double>& means) {
    const Course course = CourseOf(means);
    return course.last_near(course.lowest()).step.value;
  };
  EXPECT_EQ(near({9, 5, 5.05, 5.1, 5.1, 5.3, 5.5, 5.7}), 4) << "half of min_delta is 2.5 %";
  EXPECT_EQ(near({9, 5, 5.05, 6.0, 5.1, 5.1, 5.5, 5.7}), 5) << "one odd level is no matter";
  EXPECT_EQ(near({9, 5, 5.05, 5.5, 5.8, 6.1, 5.05, 5.05, 5.05}), 2) << "it does not come back";
  EXPECT_EQ(near({9, 5, 5.5, 5.6, 5.7, 4.9, 4.9, 4.9, 5.5, 5.6}), 7) << "a new minimum";
  EXPECT_EQ(near({9, 8, 7}), 2);
}

TEST(CourseTest, ScatterIsThatAroundASmoothCourse) {
  std::vector<double> means = {9};
  for (int i = 0; i < 40; ++i) means.push_back(5 + 0.1 * i + (i / 3 % 2 == 0 ? 0.03 : -0.03));
  const Course course = CourseOf(means);
  // Every bend is 0.06, and 1.5 variances of a level; 30 bends, of which three are lost.
  EXPECT_NEAR(*course.ScatterSince(course.start()), 0.06 / std::sqrt(1.5) * std::sqrt(30.0 / 27),
              1e-9);
  EXPECT_FALSE(CourseOf({9, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5}).ScatterSince(course.start()))
      << "five bends";
}

TEST(CourseTest, TrendIsTheLeastSquaresLineOverSteps) {
  Course course{SignalSettings()};
  // y = 2 + 0.5 x at unequal distances, after older points that are out of sight.
  for (const std::int64_t step : {0, 1, 2}) course.Observe(Point(step, 50));
  for (const std::int64_t step : {10, 11, 13, 17, 18, 25, 26, 28, 30}) {
    course.Observe(Point(step, 2 + 0.5 * static_cast<double>(step)));
  }
  const auto trend = course.trend();
  ASSERT_TRUE(trend);
  EXPECT_NEAR(trend->change, 10, 1e-12);
  EXPECT_NEAR(trend->error, 0, 1e-12);
}

TEST(CourseTest, TrendNeedsThreeTimesPatience) {
  EXPECT_FALSE(CourseOf(std::vector<double>(8, 5.0)).trend());
  EXPECT_TRUE(CourseOf(std::vector<double>(9, 5.0)).trend());
}

TEST(CourseTest, ErrorsOfTheLevelsCarryOverToTheTrend) {
  // Var(slope) = error^2 / sum (x - mean)^2, and the sum is 60 for nine unit steps.
  const auto trend = CourseOf(std::vector<double>(9, 5.0), 0.1).trend();
  EXPECT_NEAR(trend->error, 8 * 0.1 / std::sqrt(60.0), 1e-12);
}

TEST(CourseTest, FlatMeansNearTheAverageEverywhere) {
  EXPECT_TRUE(CourseOf({5, 5, 5.02, 5, 4.98, 5, 5, 5.01, 5}, 0.05).IsFlat());
  EXPECT_FALSE(CourseOf({5.5, 5.4, 5.2, 5, 4.8, 5, 5.2, 5.4, 5.5}, 0.05).IsFlat()) << "a V";
  EXPECT_FALSE(CourseOf({5, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7, 5.8}, 0.05).IsFlat()) << "a slope";
}

TEST(CourseTest, NoiseThatWouldHideAChangeIsNotFlat) {
  EXPECT_TRUE(CourseOf(std::vector<double>(9, 5.0), 0.1).IsFlat());
  EXPECT_FALSE(CourseOf(std::vector<double>(9, 5.0), 0.18).IsFlat());
  EXPECT_TRUE(CourseOf(std::vector<double>(72, 5.0), 0.18).IsFlat()) << "more levels tell more";
}

TEST(CourseTest, SteadyRiseIsToldFromOneThatFlattened) {
  const auto steady = [](const std::vector<double>& means) {
    const Course course = CourseOf(means);
    return course.HasRisenSteadily(course.lowest());
  };
  EXPECT_TRUE(steady({9, 5, 5.2, 5.4, 5.6, 5.8, 6.0}));
  EXPECT_TRUE(steady({9, 5, 5.1, 5.3, 5.6, 6.0, 6.5}));
  EXPECT_FALSE(steady({9, 5, 5.5, 5.75, 5.8, 5.8, 5.8, 5.8}));
}

TEST(CourseTest, FallGoesOnForAsLongAsHalfOfWhatItTook) {
  std::vector<double> means = {20, 18, 16, 14, 12, 10, 8, 7, 6, 5.5, 5.2, 5, 4.7, 4.4, 4.1, 3.8};
  const auto size = means.size();
  while (CourseOf(means).IsFalling()) means.push_back(3.8);
  // 15 estimates of fall; 15 more are half of 30.
  EXPECT_EQ(means.size() - size, 16U);
}

}  // namespace
}  // namespace dimwatch
