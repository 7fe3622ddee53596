// The detectors: one pure function and one file each. docs/signals.md explains them to users.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "src/signal/course.h"
#include "src/signal/metrics.h"
#include "src/signal/types.h"

namespace dimwatch {

// Whether a condition holds at the newest estimate, and why. The sentence and the numbers are there
// whether it holds or not, so that a signal that ends can say why.
struct Finding {
  bool holds = false;
  std::string reason;  // one sentence without a full stop
  std::map<std::string, double> evidence;
  std::optional<Step> best_step;  // the checkpoint to keep, where the signal knows one
};

// What there is to know about one probe at its newest complete estimate.
struct ProbeView {
  const SignalSettings& settings;
  Split split = Split::kOther;
  const Course& course;  // not empty
  // The same layer's other split, train for validation and the reverse: null where it is not
  // watched, or no longer.
  const Course* other = nullptr;
  std::string_view other_name;
  // `generalizing` has fired on this probe, so that what rose has fallen again.
  bool has_generalized = false;
  // What the job reported, as far as it is evidence `now`.
  const Metrics& metrics;
  Metrics::Moment now;
};

// It rose and fell again on both splits: as good as a decline below the start. On one split alone
// such a fall may be a dip on the way up.
inline bool HasGeneralizedOnBoth(const ProbeView& view) {
  return view.has_generalized && view.other != nullptr;
}

// After a real decline the course is flat (Course::IsFlat), on both splits where both are watched,
// and a training loss, if one is reported, made less than kStillLearning of its fall meanwhile.
// best_step: the newest estimate.
inline constexpr double kStillLearning = 0.02;
Finding FindExhausted(const ProbeView& view);

// After a real decline the level is above the minimum by more than noise and min_delta, on both
// splits where both are watched; it rose slower than it fell, or for
// 2 x patience estimates. A validation metric, if one
// is reported, must not have got better since, and its loss counts with the rise. Unless it got
// worse by more than z_score errors, the rise must be steady on one of the splits, and the level
// not above the start. best_step: the last level near the minimum (Course::last_near), of the
// validation split where it is watched, for that tells about unseen inputs.
Finding FindOverfitting(const ProbeView& view);

// The level is above the start by more than noise and min_delta, while the training loss has fallen
// and the validation loss has not (each as far as it was reported), and no fall as of
// `generalizing` has come yet.
Finding FindMemorizing(const ProbeView& view);

// After a rise from the start the level is below the peak by more than noise and min_delta, on both
// splits where both are watched; the fall goes on, and has not turned back up.
Finding FindGeneralizing(const ProbeView& view);

// The smallest distance that train and validation had so far, as ln(validation / train).
struct SplitGap {
  Step step;
  double log_ratio = 0;
  double error = 0;
};
// The gap of two levels of the same step; none unless both means are positive.
std::optional<SplitGap> GapOf(const Level& train, const Level& validation);
// The distance has grown since `closest` by more than noise and min_delta.
Finding FindDiverging(const SignalSettings& settings, const SplitGap& closest, const SplitGap& now);

// What collapse is judged by, beside the newest estimate.
struct CollapseHistory {
  double peak_variance = 0;        // the largest variance so far
  std::optional<Step> last_sound;  // the last estimate at which nothing had collapsed
};
// True where an estimate may be judged for collapse: it is complete, or incomplete for want of
// distinct finite rows.
bool CountsForCollapse(const SignalSettings& settings, const EstimatePoint& point);
// The mean LID is below collapse_lid, or more than collapse_ratio of the rows are not finite or
// copies, or the variance is below 1e-5 of its peak. best_step: the last sound estimate.
Finding FindCollapsed(const SignalSettings& settings, const CollapseHistory& history,
                      const EstimatePoint& point);

}  // namespace dimwatch
