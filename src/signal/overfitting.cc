#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {
namespace {

// Where the rise after the decline began: the minimum, or, where the LID first rose and then fell
// as when generalizing, the minimum since its peak.
const Level& Minimum(const Course& course) {
  return course.HasDeclined() ? course.lowest() : course.lowest_since_highest();
}

double StepNumber(const Level& level) { return static_cast<double>(level.step.value); }

}  // namespace

Finding FindOverfitting(const ProbeView& view) {
  const Course& course = view.course;
  const Course* other = view.other;
  if (!course.HasDeclined() && !HasGeneralizedOnBoth(view)) {
    return {false, "the mean LID has not declined yet", {}, {}};
  }
  const Level& minimum = Minimum(course);
  const double rise = course.current().mean - minimum.mean;
  const double threshold = course.Threshold(minimum, course.current());
  Finding finding;
  finding.holds =
      rise > threshold && (!other || other->IsAbove(Minimum(*other))) &&
      (course.HasRisenSteadily(minimum) || (other && other->HasRisenSteadily(Minimum(*other))));
  finding.reason = absl::StrFormat(
      "the mean LID fell from %.4g to its minimum %.4g at step %d and is %.3g above it at %.4g "
      "(threshold %.3g)",
      course.start().mean, minimum.mean, minimum.step.value, rise, course.current().mean,
      threshold);
  finding.evidence = {{"mean", course.current().mean},
                      {"start", course.start().mean},
                      {"minimum", minimum.mean},
                      {"minimum_step", StepNumber(minimum)},
                      {"rise", rise},
                      {"threshold", threshold}};
  finding.best_step = minimum.step;
  if (!other) return finding;
  const Level& other_minimum = Minimum(*other);
  finding.reason +=
      absl::StrFormat("; %s is at %.4g after a minimum of %.4g at step %d", view.other_name,
                      other->current().mean, other_minimum.mean, other_minimum.step.value);
  finding.evidence.insert({{"other_mean", other->current().mean},
                           {"other_minimum", other_minimum.mean},
                           {"other_minimum_step", StepNumber(other_minimum)}});
  if (view.split != Split::kValidation) finding.best_step = other_minimum.step;
  return finding;
}

}  // namespace dimwatch
