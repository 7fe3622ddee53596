#include "src/signal/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <random>
#include <variant>

namespace dimwatch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kTrain[] = "train/last";
constexpr char kValidation[] = "validation/last";

EstimatePoint Point(std::int64_t step, double mean, double error = 0.05) {
  EstimatePoint point;
  point.step = Step{step};
  point.mean = mean;
  point.standard_error = error;
  point.rows = 1000;
  point.variance = 1;
  return point;
}

RunJudge JudgeOfTwoSplits() {
  RunJudge judge{SignalSettings(), PolicySettings()};
  judge.AddProbe({kTrain, Split::kTrain, "last"});
  judge.AddProbe({kValidation, Split::kValidation, "last"});
  return judge;
}

// What a run sends: an estimate of a probe, or a scalar.
struct Event {
  std::string series;  // a probe or a scalar's name
  Step step;
  std::variant<EstimatePoint, double> value;
};

Judgement Send(const Event& event, RunJudge& judge) {
  if (const auto* point = std::get_if<EstimatePoint>(&event.value)) {
    return judge.Observe(event.series, *point);
  }
  return judge.ObserveScalar(event.series, event.step, std::get<double>(event.value));
}

// A run whose series wander, and now and then go back by some steps, all or one of them.
class RandomRun {
 public:
  explicit RandomRun(std::uint64_t seed) : random_(seed) {}

  Event Next() {
    const std::size_t which = random_() % kSeries.size();
    if (random_() % 20 == 0) steps_[which] -= static_cast<std::int64_t>(random_() % 80);
    if (random_() % 50 == 0) {
      for (std::int64_t& step : steps_) step -= 100;
    }
    std::int64_t& step = steps_[which];
    step = std::max<std::int64_t>(0, step + 1 + static_cast<std::int64_t>(random_() % 20));
    double& level = levels_[which];
    level = std::abs(level + Normal());
    if (which >= 2) return {kSeries[which], Step{step}, level};
    EstimatePoint point = Point(step, level);
    point.complete = random_() % 10 != 0;
    if (random_() % 15 == 0) point.mean.reset();
    if (random_() % 10 == 0) point.standard_error.reset();
    if (random_() % 3 != 0) point.paired_change_standard_error = 0.01;
    if (random_() % 12 == 0) point.nonfinite_rows = 900;
    return {kSeries[which], Step{step}, point};
  }

 private:
  double Normal() { return std::normal_distribution<double>(0, 0.5)(random_); }

  inline static const std::vector<std::string> kSeries = {kTrain, kValidation, "train/loss",
                                                          "validation/accuracy"};
  std::mt19937_64 random_;
  std::vector<std::int64_t> steps_ = {0, 0, 0, 0};
  std::vector<double> levels_ = {8, 8, 2, 1};
};

TEST(RunJudgeTest, RewoundRunStandsAsIfReplacedPointsHadNeverCome) {
  SignalSettings settings;
  settings.warmup = 2;
  settings.patience = 2;
  PolicySettings policy;
  policy.stop_on.push_back(SignalKind::kDiverging);
  int firing = 0;
  int stops = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto make = [&] {
      RunJudge judge(settings, policy);
      judge.AddProbe({kTrain, Split::kTrain, "last"});
      judge.AddProbe({kValidation, Split::kValidation, "last"});
      return judge;
    };
    RunJudge judge = make();
    RandomRun run(seed);
    std::vector<Event> survivors;
    for (int i = 0; i < 80; ++i) {
      const Event event = run.Next();
      std::erase_if(survivors, [&](const Event& earlier) {
        return earlier.series == event.series && earlier.step >= event.step;
      });
      survivors.push_back(event);
      Send(event, judge);
      RunJudge fresh = make();
      for (const Event& survivor : survivors) Send(survivor, fresh);
      ASSERT_EQ(judge.signals(), fresh.signals()) << "seed " << seed << ", event " << i;
      ASSERT_EQ(judge.decision(), fresh.decision()) << "seed " << seed << ", event " << i;
      for (const Signal& signal : judge.signals()) firing += signal.state == SignalState::kFiring;
      stops += judge.decision().verdict == Verdict::kStop;
    }
  }
  // Otherwise nothing was compared.
  EXPECT_GT(firing, 500);
  EXPECT_GT(stops, 50);
}

TEST(RunJudgeTest, ReportedChangesAddUpToTheSignalsThatStand) {
  RunJudge judge = JudgeOfTwoSplits();
  std::map<std::pair<std::string, SignalKind>, Signal> standing;
  std::optional<Decision> last;
  RandomRun run(7);
  for (int i = 0; i < 2000; ++i) {
    const Event event = run.Next();
    const Judgement judgement = Send(event, judge);
    for (const Signal& signal : judgement.signals) {
      standing[{signal.probe, signal.kind}] = signal;
      EXPECT_FALSE(signal.reason.empty());
    }
    if (judgement.decision) last = judgement.decision;
    std::vector<Signal> expected;
    for (const auto& [key, signal] : standing) {
      if (signal.state != SignalState::kInactive) expected.push_back(signal);
    }
    ASSERT_EQ(judge.signals(), expected) << "event " << i;
    if (last) {
      ASSERT_EQ(judge.decision().verdict, last->verdict);
      ASSERT_EQ(judge.decision().best_step, last->best_step);
      ASSERT_EQ(judge.decision().signals, last->signals);
    }
  }
}

TEST(RunJudgeTest, NewScalarsAreEvidenceForLaterEstimatesOnly) {
  RunJudge judge = JudgeOfTwoSplits();
  double mean = 9;
  for (std::int64_t step = 0; step < 12; ++step) {
    judge.Observe(kTrain, Point(step, mean));
    mean = step < 2 ? mean - 2 : mean + 0.2;
  }
  const Decision before = judge.decision();
  ASSERT_EQ(before.verdict, Verdict::kStop);
  judge.ObserveScalar("validation/accuracy", Step{1}, 0.1);
  judge.ObserveScalar("validation/accuracy", Step{12}, 0.9);
  EXPECT_EQ(judge.decision(), before);
  judge.Observe(kTrain, Point(12, mean));
  EXPECT_EQ(judge.decision().verdict, Verdict::kContinue);
}

TEST(RunJudgeTest, ScalarsOfLaterStepsAreNoEvidenceYet) {
  RunJudge judge = JudgeOfTwoSplits();
  judge.ObserveScalar("validation/accuracy", Step{1000}, 0.1);
  judge.ObserveScalar("validation/accuracy", Step{1001}, 0.9);
  double mean = 9;
  for (std::int64_t step = 0; step < 12; ++step) {
    judge.Observe(kTrain, Point(step, mean));
    mean = step < 2 ? mean - 2 : mean + 0.2;
  }
  EXPECT_EQ(judge.decision().verdict, Verdict::kStop);
}

TEST(RunJudgeTest, ProbesOfOtherSplitsAreJudgedAlone) {
  RunJudge judge{SignalSettings(), PolicySettings()};
  judge.AddProbe({"a", Split::kOther, "last"});
  judge.AddProbe({"b", Split::kOther, "last"});
  double mean = 9;
  for (std::int64_t step = 0; step < 12; ++step) {
    judge.Observe("a", Point(step, mean));
    judge.Observe("b", Point(step, 9));
    mean = step < 2 ? mean - 2 : mean + 0.2;
  }
  EXPECT_EQ(judge.decision().verdict, Verdict::kStop);
  EXPECT_THAT(judge.decision().signals, ElementsAre(SignalKind::kOverfitting));
}

TEST(RunJudgeTest, NothingIsSaidBeforeTheFirstEstimate) {
  const RunJudge judge = JudgeOfTwoSplits();
  EXPECT_THAT(judge.signals(), IsEmpty());
  EXPECT_EQ(judge.decision(), Decision());
}

TEST(RunJudgeTest, MeansThatAreNotFiniteAreLeftOut) {
  RunJudge judge = JudgeOfTwoSplits();
  RunJudge without = JudgeOfTwoSplits();
  double mean = 9;
  for (std::int64_t step = 0; step < 12; ++step) {
    judge.Observe(kTrain, Point(2 * step, mean));
    judge.Observe(kTrain, Point(2 * step + 1, step % 2 == 0 ? NAN : INFINITY));
    without.Observe(kTrain, Point(2 * step, mean));
    mean = step < 2 ? mean - 2 : mean + 0.2;
  }
  EXPECT_EQ(judge.decision(), without.decision());
  EXPECT_EQ(judge.signals(), without.signals());
}

TEST(RunJudgeTest, TenThousandEstimatesTakeLinearTime) {
  RunJudge judge = JudgeOfTwoSplits();
  std::mt19937_64 random(1);
  std::normal_distribution<double> noise(0, 0.1);
  const std::clock_t start = std::clock();
  for (std::int64_t step = 0; step < 10'000; ++step) {
    judge.ObserveScalar("train/loss", Step{step}, 1.0 / static_cast<double>(step + 1));
    judge.ObserveScalar("validation/accuracy", Step{step}, 0.5 + noise(random));
    judge.Observe(step % 2 == 0 ? kTrain : kValidation, Point(step, 6 + noise(random), 0.1));
  }
  judge.Observe(kTrain, Point(5'000, 6));  // and a rewind
  // Processor time: about 0.05 s, and minutes if every estimate judged the run from its beginning.
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 10);
}

// Stationary noise as large as the standard error, the worst case: a tolerance for what remains
// until false alarms are calibrated, over 20 x 500 estimates.
TEST(RunJudgeTest, StationaryNoiseOnBothSplitsRarelyLooksLikeOverfitting) {
  int alarms = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    RunJudge judge = JudgeOfTwoSplits();
    std::mt19937_64 random(seed);
    std::normal_distribution<double> noise(0, 0.1);
    for (std::int64_t step = 0; step < 500; ++step) {
      for (const char* probe : {kTrain, kValidation}) {
        const double level = step < 3 ? 9 - static_cast<double>(step) : 6;
        const Judgement judgement = judge.Observe(probe, Point(step, level + noise(random), 0.1));
        for (const Signal& signal : judgement.signals) {
          alarms += signal.kind == SignalKind::kOverfitting && signal.state == SignalState::kFiring;
        }
      }
    }
  }
  EXPECT_LE(alarms, 2);
}

}  // namespace
}  // namespace dimwatch
