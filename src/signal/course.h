// The course of one probe's mean LID so far: extremes, noise, trend. What all detectors look at.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/signal/types.h"

namespace dimwatch {

// The mean LID at one step.
struct Level {
  Step step;
  double mean = 0;
  std::optional<double> error;  // standard error of `mean`, if known
  std::int64_t index = 0;       // how many complete estimates came before
  // Sum of the squared errors of the paired changes along the current unbroken chain of them.
  double path_variance = 0;
  std::int64_t chain = 0;  // levels with the same chain may be compared along the path
};

// Standard error of the difference of two levels. From the two standard errors, taken as
// independent; or, where the rows are aligned, along the path of paired changes, if that is smaller
// (their errors are taken as uncorrelated; successive ones are negatively correlated, so the truth
// is smaller still). 0 where neither is known.
double DifferenceError(const Level& a, const Level& b);

// A line through recent levels.
struct Trend {
  Step from;  // of the first level
  double average = 0;
  double change = 0;  // along the line, from the first to the last level
  // Standard error of `change`: from the scatter around the line, or from the levels' errors where
  // that is larger. Aligned rows share their error, so that for them the scatter alone counts.
  double error = 0;
};

// Fed with complete estimates by increasing step. O(1) per estimate, but for trend(), which is
// O(patience). Not thread-safe.
class Course {
 public:
  explicit Course(const SignalSettings& settings) : settings_(settings) {}

  // REQUIRES: the mean is finite; the step is above the last.
  void Observe(const EstimatePoint& point);
  // The next paired change does not refer to the last level.
  void BreakChain() { chain_broken_ = true; }

  std::int64_t count() const { return std::ssize(levels_); }
  // REQUIRES for all below: count() > 0.
  const Level& start() const { return levels_.front(); }
  const Level& current() const { return levels_.back(); }
  // The first of equals each.
  const Level& lowest() const { return bottom_.lowest; }
  const Level& highest() const { return highest_; }
  const Level& lowest_since_highest() const { return bottom_since_highest_.lowest; }
  // The last level before the course left `minimum`, which is one of the two lowest: up to it the
  // median of three neighbors stayed within half of min_delta of its own minimum.
  const Level& last_near(const Level& minimum) const;

  // How far apart two levels must be to differ by more than noise and min_delta: the larger of
  // z_score times the error of their difference, and min_delta times the mean of `reference`.
  double Threshold(const Level& reference, const Level& other) const;
  // The current level is above (below) `reference` by more than the threshold.
  bool IsAbove(const Level& reference) const;
  bool IsBelow(const Level& reference) const;
  // What a difference of levels is compared with: the error for new inputs (DifferenceError); or,
  // of aligned rows, how much single levels scatter since the reference, if that is smaller.
  enum class Noise { kNewInputs, kScatter };
  // How many independent levels the course is worth: all of them; or, for the error for new
  // inputs where the rows are aligned and so share most of it, one more for every time that the
  // path has gone as far as two levels would lie apart that share none.
  double IndependentLevels(Noise noise) const;
  // How many standard errors of their difference the current level is above `reference`; infinite
  // for a level that is above and has no known error.
  double ErrorsAbove(const Level& reference, Noise noise) const;
  // The standard deviation of single levels around a smooth course, from the bends of every
  // level against those three before and after it (von Neumann; neighbors are too alike where noise
  // is correlated), up to 30 of them since `reference`; none of fewer than 6.
  std::optional<double> ScatterSince(const Level& reference) const;
  // The lowest level is below the start by more than the threshold: a real decline.
  bool HasDeclined() const;
  // The highest level is above the start by more than the threshold.
  bool HasRisen() const;
  // The fall reaches new levels, each beyond the last by more than the threshold, at least every
  // 2 x patience estimates, or within half of the time since it began, whichever is longer: the
  // judgement should not depend on how often the job evaluates.
  bool IsFalling() const;
  // The later half of the time since the minimum brought at least a quarter of the rise: a steady
  // rise brings half of it, one that has flattened nothing. Of averages of up to `patience` levels.
  bool HasRisenSteadily(const Level& minimum) const;

  // Through 3 x patience levels, none before there are so many: the last ones, or, where the last
  // third of the course holds more, so many spread evenly over it. So flat means flat for a third
  // of the course, however often the job evaluates. x is the step.
  std::optional<Trend> trend() const;
  // The trend's change is neither more than z_score of its errors nor more than min_delta of the
  // average, and every level is as near to the average (by its own error): a V is not flat. False
  // without a trend.
  bool IsFlat() const;
  // What lies after it is recent: the step of the level 2 x patience estimates ago, or a quarter of
  // all if that is more, or of the first.
  Step horizon() const;

 private:
  // A minimum, and how long the course stayed near it.
  struct Bottom {
    Level lowest;
    Level last_near;
    double lowest_median = 0;  // of three neighbors, since `lowest`
    bool left = false;
  };
  static Bottom BottomAt(const Level& level);
  void Follow(Bottom& bottom) const;
  double Average(std::int64_t first, std::int64_t count) const;
  std::vector<Level> TrendLevels() const;  // what trend() looks at, oldest first, or empty

  SignalSettings settings_;
  std::vector<Level> levels_;
  bool chain_broken_ = true;
  Bottom bottom_;
  Bottom bottom_since_highest_;
  Level highest_;
  Level fallen_to_;  // the last new level of the fall from the highest
};

}  // namespace dimwatch
