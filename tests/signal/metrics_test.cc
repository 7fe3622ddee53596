#include "src/signal/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dimwatch {
namespace {

constexpr Metrics::Moment kEnd = {1'000'000, Step{1'000'000'000}};

// Reports values at steps 0, 10, 20, ...
Metrics Reported(const std::string& name, const std::vector<double>& values) {
  Metrics metrics;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto order = static_cast<std::int64_t>(i);
    metrics.Observe(name, Step{10 * order}, values[i], order);
  }
  return metrics;
}

TEST(MetricsTest, KindsAreReadFromTheWordsOfAName) {
  for (const char* name : {"validation/accuracy", "val_acc", "test.f1", "eval/score", "valF1",
                           "EVAL_ACCURACY", "val/f1_macro", "dev-acc"}) {
    EXPECT_EQ(ClassifyMetric(name), MetricKind::kValidationScore) << name;
  }
  for (const char* name : {"validation/loss", "val_loss", "eval_loss", "test/loss", "valLoss"}) {
    EXPECT_EQ(ClassifyMetric(name), MetricKind::kValidationLoss) << name;
  }
  for (const char* name : {"train/loss", "loss", "value_loss", "loss/total"}) {
    EXPECT_EQ(ClassifyMetric(name), MetricKind::kTrainLoss) << name;
  }
  for (const char* name : {"train/accuracy", "lr", "value", "latest", "lossless", "", "///"}) {
    EXPECT_EQ(ClassifyMetric(name), MetricKind::kOther) << name;
  }
}

TEST(MetricsTest, RecordWithinTheHorizonIsAnImprovement) {
  const Metrics metrics = Reported("val_acc", {0.1, 0.5, 0.9, 0.8, 0.8});
  const auto gain = metrics.Improving(Step{19}, {100, Step{40}});
  ASSERT_TRUE(gain);
  EXPECT_EQ(gain->name, "val_acc");
  EXPECT_EQ(gain->step, Step{20});
  EXPECT_EQ(gain->now, 0.9);
  EXPECT_EQ(gain->before, 0.5);
  EXPECT_FALSE(metrics.Improving(Step{20}, {100, Step{40}}));
}

TEST(MetricsTest, LossesImproveDownwards) {
  EXPECT_TRUE(Reported("val_loss", {3, 2, 1}).Improving(Step{5}, {100, Step{20}}));
  EXPECT_FALSE(Reported("val_loss", {1, 2, 3}).Improving(Step{5}, {100, Step{20}}));
}

TEST(MetricsTest, EqualValuesAreNoRecord) {
  EXPECT_FALSE(Reported("val_acc", {0.5, 0.9, 0.9, 0.9}).Improving(Step{10}, {100, Step{30}}));
}

TEST(MetricsTest, RareReportImprovesUntilTheNextIsOverdue) {
  const Metrics metrics = Reported("val_acc", {0.5, 0.9});  // at 0 and 10
  EXPECT_TRUE(metrics.Improving(Step{25}, {100, Step{30}}));
  EXPECT_FALSE(metrics.Improving(Step{25}, {100, Step{31}}));
}

TEST(MetricsTest, OneValueIsNoImprovement) {
  EXPECT_FALSE(Reported("val_acc", {0.5}).Improving(Step{0}, kEnd));
}

TEST(MetricsTest, LossesAreNotAskedWhereAScoreIsReported) {
  Metrics metrics = Reported("val_acc", {0.9, 0.5, 0.5});
  for (std::int64_t i = 0; i < 3; ++i) {
    metrics.Observe("val_loss", Step{10 * i}, static_cast<double>(-i), 10 + i);
  }
  EXPECT_FALSE(metrics.Improving(Step{5}, {100, Step{20}}));
}

TEST(MetricsTest, ValuesThatArrivedLaterOrAreOfLaterStepsAreNotSeen) {
  const Metrics metrics = Reported("train_loss", {3, 2, 1});
  EXPECT_EQ(metrics.Change(MetricKind::kTrainLoss, {100, Step{19}})->newest, 2);
  EXPECT_EQ(metrics.Change(MetricKind::kTrainLoss, {2, Step{100}})->newest, 2);
  EXPECT_FALSE(metrics.Change(MetricKind::kTrainLoss, {1, Step{100}}));
  EXPECT_FALSE(metrics.Change(MetricKind::kValidationLoss, kEnd));
}

TEST(MetricsTest, StepThatGoesBackReplacesFromThereOn) {
  Metrics metrics = Reported("val_acc", {0.1, 0.9, 0.2});
  EXPECT_FALSE(metrics.Observe("val_acc", Step{30}, 0.3, 10));
  EXPECT_TRUE(metrics.Observe("val_acc", Step{10}, 0.2, 11));
  const auto gain = metrics.Improving(Step{0}, {100, Step{20}});
  ASSERT_TRUE(gain);
  EXPECT_EQ(gain->now, 0.2);
}

TEST(MetricsTest, ValuesThatAreNotFiniteAreDropped) {
  Metrics metrics = Reported("val_acc", {0.1, INFINITY, 0.2, NAN});
  EXPECT_EQ(metrics.Improving(Step{0}, {100, Step{30}})->now, 0.2);
}

TEST(MetricsTest, AverageThatGotBetterIsAnImprovementWithoutARecord) {
  const std::vector<double> noisy = {0.1, 0.95, 0.80, 0.82, 0.81, 0.89, 0.88, 0.90};
  const auto gain = Reported("val_acc", noisy).Improving(Step{40}, {100, Step{70}});
  ASSERT_TRUE(gain);
  EXPECT_NEAR(gain->now, (0.89 + 0.88 + 0.90) / 3, 1e-12);
  EXPECT_NEAR(gain->before, (0.80 + 0.82 + 0.81) / 3, 1e-12) << "as many before";
  EXPECT_FALSE(Reported("val_acc", {0.1, 0.80, 0.91, 0.82, 0.86, 0.80, 0.90, 0.85})
                   .Improving(Step{40}, {100, Step{70}}))
      << "within noise";
}

TEST(MetricsTest, LossOfAMetricIsToldInErrorsOfItsTwoHalves) {
  const Metrics metrics = Reported("val_acc", {0.1, 0.9, 0.8, 0.5, 0.4});
  const auto loss = metrics.LossSince(Step{0}, kEnd);
  ASSERT_TRUE(loss);
  EXPECT_NEAR(loss->before, 0.85, 1e-12);
  EXPECT_NEAR(loss->now, 0.45, 1e-12);
  // The variance of an average of two that lie 0.1 apart is 0.1^2 / 4.
  EXPECT_NEAR(loss->errors, 0.4 / std::sqrt(2 * 0.0025), 1e-9);
  EXPECT_FALSE(metrics.LossSince(Step{10}, kEnd)) << "three values are too few";
  EXPECT_LT(Reported("val_acc", {0.1, 0.5, 0.6, 0.8, 0.9}).LossSince(Step{0}, kEnd)->errors, 0);
  EXPECT_LT(Reported("val_loss", {9, 5, 4, 3, 2}).LossSince(Step{0}, kEnd)->errors, 0);
}

TEST(MetricsTest, LateFallIsAShareOfAllTheFallOfATrainingLoss) {
  // From 4 to 0 in equal parts: the last half of the time brought half of the fall.
  const auto fall =
      Reported("loss", {4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0}).FallingSince(Step{40}, kEnd);
  ASSERT_TRUE(fall);
  EXPECT_EQ(fall->name, "loss");
  EXPECT_NEAR(fall->share, 2 * (1.25 - 0.25) / (4 - 0.25), 1e-12);
  EXPECT_NEAR(Reported("loss", {4, 1, 0.2, 0.2, 0.2, 0.2}).FallingSince(Step{10}, kEnd)->share, 0,
              1e-12);
  EXPECT_FALSE(Reported("loss", {1, 2, 3, 4, 5, 6}).FallingSince(Step{10}, kEnd)) << "it rose";
  EXPECT_FALSE(Reported("val_loss", {4, 3, 2, 1, 0}).FallingSince(Step{0}, kEnd));
}

TEST(MetricsTest, BestIsTheRecordOfAScoreOrElseOfALoss) {
  EXPECT_EQ(Reported("val_acc", {0.1, 0.9, 0.9, 0.2}).Best(kEnd)->step, Step{10});
  EXPECT_EQ(Reported("val_loss", {3, 1, 2}).Best(kEnd)->step, Step{10});
  EXPECT_EQ(Reported("val_acc", {0.1, 0.5, 0.9}).Best({100, Step{15}})->step, Step{10});
  EXPECT_FALSE(Reported("train_loss", {3, 1, 2}).Best(kEnd));
}

}  // namespace
}  // namespace dimwatch
