#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {
namespace {

bool RoseAndFell(const Course& course) {
  return course.HasRisen() && course.IsBelow(course.highest());
}

}  // namespace

Finding FindGeneralizing(const ProbeView& view) {
  const Course& course = view.course;
  const Course* other = view.other;
  const Level& peak = course.highest();
  const double fall = peak.mean - course.current().mean;
  const double threshold = course.Threshold(peak, course.current());
  Finding finding;
  finding.holds = RoseAndFell(course) && (!other || RoseAndFell(*other)) &&
                  !course.IsAbove(course.lowest_since_highest()) &&
                  (course.IsFalling() || (other && other->IsFalling()));
  finding.reason = absl::StrFormat(
      "the mean LID rose from %.4g to its peak %.4g at step %d and is %.3g below it at %.4g "
      "(threshold %.3g)",
      course.start().mean, peak.mean, peak.step.value, fall, course.current().mean, threshold);
  finding.evidence = {{"mean", course.current().mean},
                      {"start", course.start().mean},
                      {"peak", peak.mean},
                      {"peak_step", static_cast<double>(peak.step.value)},
                      {"fall", fall},
                      {"threshold", threshold}};
  if (other) {
    finding.reason +=
        absl::StrFormat("; %s is at %.4g after a peak of %.4g at step %d", view.other_name,
                        other->current().mean, other->highest().mean, other->highest().step.value);
    finding.evidence["other_mean"] = other->current().mean;
    finding.evidence["other_peak"] = other->highest().mean;
  }
  return finding;
}

}  // namespace dimwatch
