// Judges one run: folds its series into signals and a decision.
//
// Guaranteed:
//  1. Pure: the same calls in the same order give the same answers, on any machine. No clock.
//  2. Rewinding is normal: a point at or below the last step of its series (a probe's estimates, or
//     one scalar) replaces everything of that series from there on, and the judge stands as if the
//     replaced points had never come.
//  3. In the mode kEnforced a STOP stands until the points that it rests on are replaced.
//  4. O(log points) per point without rewinds, O(points log points) for a rewind.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/signal/types.h"

namespace dimwatch {

// What changed by one observation.
struct Judgement {
  // Those whose state changed, by probe then kind. After a rewind: all that stand otherwise than
  // before, those that are gone as kInactive.
  std::vector<Signal> signals;
  std::optional<Decision> decision;  // if verdict, best step or firing signals changed
};

// Not thread-safe: owned by the run's single writer.
class RunJudge {
 public:
  // REQUIRES: both settings are valid.
  RunJudge(SignalSettings signals, PolicySettings policy);
  ~RunJudge();
  RunJudge(RunJudge&&) noexcept;
  RunJudge& operator=(RunJudge&&) noexcept;

  // REQUIRES: a new name.
  void AddProbe(const ProbeIdentity& probe);

  // REQUIRES: the probe was added.
  Judgement Observe(std::string_view probe, const EstimatePoint& point);
  // A number that the job reported: evidence for later estimates (see docs/signals.md). Changes a
  // signal only where it replaces numbers that earlier estimates were judged by.
  Judgement ObserveScalar(std::string_view name, Step step, double value);
  // The caller's clock says that the run has been silent for `seconds`; a run that speaks again is
  // told with 0. Moves `stalled`, never the decision.
  Judgement ObserveSilence(double seconds);

  // Every signal that is not kInactive, by probe then kind.
  std::vector<Signal> signals() const;
  const Decision& decision() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
