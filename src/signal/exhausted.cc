#include <cmath>

#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {
namespace {

bool IsFlat(const SignalSettings& settings, const Course& course, const Trend& trend) {
  const double change = std::abs(trend.change);
  return change <= settings.z_score * trend.error &&
         change <= settings.min_delta * std::abs(course.current().mean);
}

bool IsFlat(const SignalSettings& settings, const Course& course) {
  const std::optional<Trend> trend = course.trend();
  return trend && IsFlat(settings, course, *trend);
}

}  // namespace

Finding FindExhausted(const ProbeView& view) {
  const Course& course = view.course;
  const std::optional<Trend> trend = course.trend();
  if (!trend) return {false, "too few estimates to tell whether the mean LID is flat", {}, {}};
  const int estimates = 3 * view.settings.patience;
  Finding finding;
  finding.holds = course.HasDeclined() && IsFlat(view.settings, course, *trend) &&
                  (!view.other || IsFlat(view.settings, *view.other));
  finding.reason = absl::StrFormat(
      "the mean LID started at %.4g, reached %.4g, and changed by %+.3g (standard error %.3g) over "
      "the last %d estimates, to %.4g",
      course.start().mean, course.floor().mean, trend->change, trend->error, estimates,
      course.current().mean);
  if (finding.holds && view.other) {
    finding.reason += absl::StrFormat("; %s is flat too", view.other_name);
  }
  finding.evidence = {{"mean", course.current().mean},  {"start", course.start().mean},
                      {"minimum", course.floor().mean}, {"change", trend->change},
                      {"change_error", trend->error},   {"estimates", estimates}};
  finding.best_step = course.current().step;
  return finding;
}

}  // namespace dimwatch
