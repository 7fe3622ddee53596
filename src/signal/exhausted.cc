#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {

Finding FindExhausted(const ProbeView& view) {
  const Course& course = view.course;
  const std::optional<Trend> trend = course.trend();
  if (!trend) return {false, "too few estimates to tell whether the mean LID is flat", {}, {}};
  Finding finding;
  // Compared with the average rather than the minimum, which is low by chance in a long series.
  const bool declined =
      course.start().mean - trend->average > course.Threshold(course.start(), course.current());
  const std::optional<LateFall> fall = view.metrics.FallingSince(trend->from, view.now);
  const bool still_learning = fall && fall->share >= kStillLearning;
  finding.holds = (declined || HasGeneralizedOnBoth(view)) && course.IsFlat() &&
                  (!view.other || view.other->IsFlat()) && !still_learning;
  finding.reason = absl::StrFormat(
      "the mean LID started at %.4g, is %.4g on average since step %d, and changed by %+.3g in "
      "that time (standard error %.3g)",
      course.start().mean, trend->average, trend->from.value, trend->change, trend->error);
  if (finding.holds && view.other) {
    finding.reason += absl::StrFormat("; %s is flat too", view.other_name);
  }
  if (fall) {
    finding.reason += absl::StrFormat("; %s made %.2g %% of its fall in that time", fall->name,
                                      100 * fall->share);
  }
  finding.evidence = {
      {"mean", course.current().mean}, {"start", course.start().mean},
      {"average", trend->average},     {"change", trend->change},
      {"change_error", trend->error},  {"since_step", static_cast<double>(trend->from.value)}};
  if (fall) finding.evidence["loss_share"] = fall->share;
  finding.best_step = course.current().step;
  return finding;
}

}  // namespace dimwatch
