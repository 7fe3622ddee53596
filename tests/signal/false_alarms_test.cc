// How often a signal fires although nothing happens: on stationary noise around a level, from the
// first estimate on, or after a real decline.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "src/signal/judge.h"

namespace dimwatch {
namespace {

constexpr int kRuns = 20;
constexpr int kEstimates = 2000;  // of each split, in a run
constexpr double kLeast = 1000;   // estimates between two alarms

struct Noise {
  std::string name;
  double scatter = 0.03;   // of single levels, relative
  double error = 0.03;     // the standard error that is stated, relative
  double correlation = 0;  // of one level with the next
  bool aligned = false;    // paired changes are stated
  bool declined = false;   // it starts at one and a half times the level
  bool both_splits = true;
  bool metric = false;  // a validation score of noise is reported
};

const std::vector<Noise> kNoises = {
    {.name = "new inputs each time"},
    {.name = "new inputs each time, after a decline", .declined = true},
    {.name = "one split, after a decline", .declined = true, .both_splits = false},
    {.name = "after a decline, noisy score", .declined = true, .metric = true},
    {.name = "aligned, after a decline", .scatter = 0.015, .aligned = true, .declined = true},
    {.name = "aligned, after a decline, noisy score",
     .scatter = 0.015,
     .aligned = true,
     .declined = true,
     .metric = true},
    {.name = "correlated 0.5, after a decline", .correlation = 0.5, .declined = true},
    {.name = "correlated 0.5, aligned, after a decline, noisy score",
     .scatter = 0.015,
     .correlation = 0.5,
     .aligned = true,
     .declined = true,
     .metric = true},
};

// Levels around 8, as a first-order autoregression.
class Source {
 public:
  Source(const Noise& noise, std::uint32_t seed) : noise_(noise), random_(seed) {}

  EstimatePoint Next(int step) {
    const double fresh = normal_(random_);
    const double phi = noise_.correlation;
    state_ = step == 0 ? fresh : phi * state_ + std::sqrt(1 - phi * phi) * fresh;
    const double level = step == 0 && noise_.declined ? 12 : 8;
    EstimatePoint point;
    point.step = Step{step};
    point.mean = level * (1 + noise_.scatter * state_);
    point.standard_error = noise_.error * level;
    point.rows = 1000;
    point.variance = 1;
    if (noise_.aligned && step > 0) {
      point.paired_change = *point.mean - previous_;
      point.paired_change_standard_error = std::sqrt(2.0) * noise_.scatter * level;
    }
    previous_ = *point.mean;
    return point;
  }
  double Score() { return 0.8 + 0.01 * normal_(random_); }

 private:
  Noise noise_;
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
  double state_ = 0;
  double previous_ = 0;
};

// How often each signal fired. Every level may be exhausted after a decline: that is no alarm.
std::map<SignalKind, int> Alarms(const Noise& noise) {
  std::map<SignalKind, int> alarms;
  for (std::uint32_t run = 0; run < kRuns; ++run) {
    RunJudge judge{SignalSettings(), PolicySettings()};
    judge.AddProbe({"train/last", Split::kTrain, "last"});
    judge.AddProbe({"validation/last", Split::kValidation, "last"});
    Source train(noise, 2 * run);
    Source validation(noise, 2 * run + 1);
    const auto count = [&](const Judgement& judgement) {
      for (const Signal& signal : judgement.signals) {
        if (signal.state != SignalState::kFiring) continue;
        if (signal.kind == SignalKind::kExhausted && noise.declined) continue;
        ++alarms[signal.kind];
      }
    };
    for (int step = 0; step < kEstimates; ++step) {
      if (noise.metric) judge.ObserveScalar("validation/accuracy", Step{step}, validation.Score());
      count(judge.Observe("train/last", train.Next(step)));
      if (noise.both_splits) count(judge.Observe("validation/last", validation.Next(step)));
    }
  }
  return alarms;
}

class FalseAlarmsTest : public testing::TestWithParam<Noise> {};

TEST_P(FalseAlarmsTest, AreFarApartOnStationaryNoise) {
  const Noise& noise = GetParam();
  const std::map<SignalKind, int> alarms = Alarms(noise);
  const double estimates = kRuns * kEstimates * (noise.both_splits ? 2.0 : 1.0);
  for (const auto& [kind, count] : alarms) {
    std::cout << noise.name << ": " << Name(kind) << " once in " << estimates / count
              << " estimates\n";
    EXPECT_GE(estimates / count, kLeast) << Name(kind);
  }
  if (alarms.empty()) std::cout << noise.name << ": none in " << estimates << " estimates\n";
}

INSTANTIATE_TEST_SUITE_P(All, FalseAlarmsTest, testing::ValuesIn(kNoises),
                         [](const auto& noise) { return "Noise" + std::to_string(noise.index); });

}  // namespace
}  // namespace dimwatch
