#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {

Finding FindOverfitting(const ProbeView& view) {
  const Course& course = view.course;
  const Course* other = view.other;
  const Level& floor = course.floor();
  const double rise = course.current().mean - floor.mean;
  const double threshold = course.Threshold(floor, course.current());
  Finding finding;
  finding.holds = (course.HasDeclined() || view.has_generalized) && course.IsAbove(floor) &&
                  (!other || other->IsAbove(other->floor())) &&
                  (course.IsStillRising() || (other && other->IsStillRising()));
  finding.reason = absl::StrFormat(
      "the mean LID fell from %.4g to %.4g at step %d and %s to %.4g, by %.3g where %.3g is noise",
      course.start().mean, floor.mean, floor.step.value, rise > threshold ? "rose" : "came",
      course.current().mean, rise, threshold);
  if (other) {
    finding.reason +=
        absl::StrFormat("; %s is at %.4g after a minimum of %.4g at step %d", view.other_name,
                        other->current().mean, other->floor().mean, other->floor().step.value);
    finding.evidence = {{"other_mean", other->current().mean},
                        {"other_minimum", other->floor().mean},
                        {"other_minimum_step", static_cast<double>(other->floor().step.value)}};
  }
  finding.evidence.insert({{"mean", course.current().mean},
                           {"start", course.start().mean},
                           {"minimum", floor.mean},
                           {"minimum_step", static_cast<double>(floor.step.value)},
                           {"rise", rise},
                           {"threshold", threshold}});
  finding.best_step = other && view.split != Split::kValidation ? other->floor().step : floor.step;
  return finding;
}

}  // namespace dimwatch
