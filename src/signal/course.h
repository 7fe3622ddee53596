// The course of one probe's mean LID so far: extremes, noise, trend. What all detectors look at.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

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

// A line through the recent levels.
struct Trend {
  double change = 0;  // along the line, from the first to the last level
  double error = 0;   // standard error of `change`: from the levels' errors, or from their scatter
                      // around the line, whichever is larger
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

  std::int64_t count() const { return count_; }
  // REQUIRES for all below: count() > 0.
  const Level& start() const { return start_; }
  const Level& current() const { return recent_.back(); }
  const Level& peak() const { return peak_; }    // highest so far, the first of equals
  const Level& floor() const { return floor_; }  // lowest so far, the first of equals
  const Level& floor_since_peak() const { return floor_since_peak_; }

  // How far apart two levels must be to differ by more than noise and min_delta: the larger of
  // z_score times the error of their difference, and min_delta times the mean of `reference`.
  double Threshold(const Level& reference, const Level& other) const;
  // The current level is above (below) `reference` by more than the threshold.
  bool IsAbove(const Level& reference) const;
  bool IsBelow(const Level& reference) const;
  // The floor lies below the start by more than the threshold: what DESIGN calls a real decline.
  bool HasDeclined() const;
  // The peak lies above the start by more than the threshold.
  bool HasRisen() const;

  // A rise (fall) goes on while it reaches a new level beyond the threshold at least every
  // 2 x patience estimates, or within half of the time since it began, whichever is longer. So the
  // judgement does not depend on how often the job evaluates.
  bool IsStillRising() const;   // since the floor
  bool IsStillFalling() const;  // since the peak

  // Of the last 3 x patience levels; none before there are so many. x is the step.
  std::optional<Trend> trend() const;
  // Step of the level 2 x patience estimates ago, or of the first.
  Step horizon() const;

 private:
  bool GoesOn(std::int64_t began, std::int64_t progressed) const;

  SignalSettings settings_;
  std::int64_t count_ = 0;
  bool chain_broken_ = true;
  Level start_;
  Level peak_;
  Level floor_;
  Level floor_since_peak_;
  Level risen_to_;            // the last new level of the rise since the floor
  Level fallen_to_;           // the last new level of the fall since the peak
  std::deque<Level> recent_;  // the last 3 x patience
};

}  // namespace dimwatch
