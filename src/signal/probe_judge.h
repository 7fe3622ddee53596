// The signals of one probe, estimate by estimate.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "src/signal/course.h"
#include "src/signal/debounce.h"
#include "src/signal/detectors.h"
#include "src/signal/metrics.h"
#include "src/signal/policy.h"
#include "src/signal/types.h"

namespace dimwatch {

// Knows no rewinding: RunJudge makes a new one. Not thread-safe.
class ProbeJudge {
 public:
  ProbeJudge(const ProbeIdentity& identity, const SignalSettings& settings);

  // Folds one estimate in, appending signals whose state changed. `other` is the layer's other
  // split, or null. REQUIRES: the step is above the last.
  void Observe(const EstimatePoint& point, const ProbeJudge* other, const Metrics& metrics,
               const Metrics::Moment& now, std::vector<Signal>& changed);
  // The same for the signal that belongs to a pair of splits and is kept by the validation probe;
  // to be called after either split observed. Does nothing unless both are at the same step.
  void ComparePair(const ProbeJudge& train, std::vector<Signal>& changed);

  const ProbeIdentity& identity() const { return identity_; }
  // By kind; kInactive ones too.
  std::vector<Signal> signals() const;
  std::vector<FiringSignal> firing() const;

 private:
  struct Judged {
    Debounce debounce;
    Signal signal;
    std::optional<Step> best_step;  // as of firing
  };

  void JudgeCollapse(const EstimatePoint& point, std::vector<Signal>& changed);
  void JudgeCourse(const ProbeJudge* other, const Metrics& metrics, const Metrics::Moment& now,
                   std::vector<Signal>& changed);
  void Judge(SignalKind kind, const Finding& finding, Step step, std::int64_t estimates,
             std::vector<Signal>& changed);
  SignalState StateOf(SignalKind kind) const;

  ProbeIdentity identity_;
  SignalSettings settings_;
  Course course_;
  CollapseHistory collapse_;
  std::int64_t collapse_count_ = 0;  // estimates judged for collapse
  bool has_generalized_ = false;
  std::optional<SplitGap> closest_gap_;
  std::optional<Step> compared_;  // the last step at which the splits were compared
  std::int64_t gap_count_ = 0;
  std::vector<Judged> judged_;  // by kind, without kStalled
};

}  // namespace dimwatch
