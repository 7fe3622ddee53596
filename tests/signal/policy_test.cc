#include "src/signal/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dimwatch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Metrics::Moment kNow = {1000, Step{100}};

FiringSignal Firing(SignalKind kind, std::optional<Step> best_step = std::nullopt,
                    const std::string& probe = "train/last") {
  return {probe, kind, "because", best_step, Step{50}};
}

TEST(PolicyTest, CollapsedDecidesBeforeOverfittingBeforeExhausted) {
  const Decision decision =
      Decide(PolicySettings(),
             {Firing(SignalKind::kExhausted, Step{90}), Firing(SignalKind::kOverfitting, Step{60}),
              Firing(SignalKind::kCollapsed, Step{70})},
             Metrics(), kNow);
  EXPECT_EQ(decision.verdict, Verdict::kStop);
  EXPECT_EQ(decision.best_step, Step{70});
  EXPECT_EQ(decision.step, Step{100});
  EXPECT_EQ(decision.reason, "collapsed on train/last: because");
  EXPECT_THAT(decision.signals, ElementsAre(SignalKind::kExhausted, SignalKind::kOverfitting,
                                            SignalKind::kCollapsed));
}

TEST(PolicyTest, BestStepIsTheEarliestOfTheDecidingSignal) {
  const Decision decision = Decide(
      PolicySettings(),
      {Firing(SignalKind::kOverfitting, Step{60}, "a"), Firing(SignalKind::kOverfitting, {}, "b"),
       Firing(SignalKind::kOverfitting, Step{40}, "c")},
      Metrics(), kNow);
  EXPECT_EQ(decision.best_step, Step{40});
  EXPECT_EQ(decision.reason, "overfitting on a and 2 more: because");
}

TEST(PolicyTest, MemorizingAndGeneralizingHoldBackAllButCollapsed) {
  for (const SignalKind holder : {SignalKind::kMemorizing, SignalKind::kGeneralizing}) {
    for (const SignalKind kind : {SignalKind::kOverfitting, SignalKind::kExhausted}) {
      const Decision decision = Decide(
          PolicySettings(), {Firing(kind), Firing(holder, {}, "other/probe")}, Metrics(), kNow);
      EXPECT_EQ(decision.verdict, Verdict::kContinue);
      EXPECT_THAT(decision.reason, HasSubstr("on other/probe holds the STOP back"));
    }
    EXPECT_EQ(
        Decide(PolicySettings(), {Firing(SignalKind::kCollapsed), Firing(holder)}, Metrics(), kNow)
            .verdict,
        Verdict::kStop);
  }
}

TEST(PolicyTest, SignalThatStopsHoldsNothingBack) {
  PolicySettings policy;
  policy.stop_on = {SignalKind::kMemorizing};
  const Decision decision = Decide(policy, {Firing(SignalKind::kMemorizing)}, Metrics(), kNow);
  EXPECT_EQ(decision.verdict, Verdict::kStop);
  EXPECT_EQ(decision.best_step, std::nullopt);
}

TEST(PolicyTest, ImprovingMetricHoldsBackAllButCollapsed) {
  Metrics metrics;
  metrics.Observe("val_acc", Step{10}, 0.1, 1);
  metrics.Observe("val_acc", Step{60}, 0.2, 2);
  metrics.Observe("val_acc", Step{90}, 0.15, 3);
  const Decision decision =
      Decide(PolicySettings(), {Firing(SignalKind::kOverfitting, Step{40})}, metrics, kNow);
  EXPECT_EQ(decision.verdict, Verdict::kContinue);
  EXPECT_THAT(decision.reason, HasSubstr("val_acc still improves, from 0.1 to 0.2 at step 60"));
  EXPECT_EQ(decision.best_step, std::nullopt);
  EXPECT_EQ(Decide(PolicySettings(), {Firing(SignalKind::kCollapsed)}, metrics, kNow).verdict,
            Verdict::kStop);
}

TEST(PolicyTest, FirstSignalThatMayStopStops) {
  // Collapsed fires on too few probes, overfitting on enough.
  PolicySettings policy;
  policy.min_probes = 2;
  const Decision decision =
      Decide(policy,
             {Firing(SignalKind::kCollapsed), Firing(SignalKind::kOverfitting, Step{40}, "a"),
              Firing(SignalKind::kOverfitting, Step{50}, "b")},
             Metrics(), kNow);
  EXPECT_EQ(decision.verdict, Verdict::kStop);
  EXPECT_EQ(decision.best_step, Step{40});
}

TEST(PolicyTest, ShadowIsSaidInTheDecision) {
  PolicySettings policy;
  policy.mode = PolicyMode::kShadow;
  const Decision decision = Decide(policy, {Firing(SignalKind::kOverfitting)}, Metrics(), kNow);
  EXPECT_EQ(decision.mode, PolicyMode::kShadow);
  EXPECT_EQ(decision.verdict, Verdict::kStop);
}

}  // namespace
}  // namespace dimwatch
