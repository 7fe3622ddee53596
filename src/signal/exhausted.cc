#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {

bool HasDeclined(const ProbeView& view) {
  return view.course.HasDeclined() || (view.has_generalized && view.other);
}

Finding FindExhausted(const ProbeView& view) {
  const Course& course = view.course;
  const std::optional<Trend> trend = course.trend();
  if (!trend) return {false, "too few estimates to tell whether the mean LID is flat", {}, {}};
  const int estimates = 3 * view.settings.patience;
  Finding finding;
  finding.holds = HasDeclined(view) && course.IsFlat() && (!view.other || view.other->IsFlat());
  finding.reason = absl::StrFormat(
      "the mean LID fell from %.4g to %.4g, and changed by %+.3g (standard error %.3g) over the "
      "last %d estimates, to %.4g",
      course.start().mean, course.lowest().mean, trend->change, trend->error, estimates,
      course.current().mean);
  if (finding.holds && view.other) {
    finding.reason += absl::StrFormat("; %s is flat too", view.other_name);
  }
  finding.evidence = {{"mean", course.current().mean},   {"start", course.start().mean},
                      {"minimum", course.lowest().mean}, {"change", trend->change},
                      {"change_error", trend->error},    {"estimates", estimates}};
  finding.best_step = course.current().step;
  return finding;
}

}  // namespace dimwatch
