#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {
namespace {

struct Decline {
  Level from;
  Level to;
};

// From the start to the minimum; or, where the LID first rose and then fell as when generalizing,
// from the peak to the minimum since.
Decline DeclineOf(const Course& course) {
  return course.HasDeclined() ? Decline{course.start(), course.lowest()}
                              : Decline{course.highest(), course.lowest_since_highest()};
}

// Above the minimum, but not above what it declined from: a rise beyond the start, after a small
// dip at most, is how memorizing begins.
bool HasRisenAgain(const Course& course) {
  const Decline decline = DeclineOf(course);
  return course.IsAbove(decline.to) && !course.IsAbove(decline.from);
}

bool HasRisenSteadily(const Course& course) {
  return course.HasRisenSteadily(DeclineOf(course).to);
}

double StepNumber(const Level& level) { return static_cast<double>(level.step.value); }

}  // namespace

Finding FindOverfitting(const ProbeView& view) {
  const Course& course = view.course;
  const Course* other = view.other;
  if (!course.HasDeclined() && !HasGeneralizedOnBoth(view)) {
    return {false, "the mean LID has not declined yet", {}, {}};
  }
  const Decline decline = DeclineOf(course);
  const double mean = course.current().mean;
  const double rise = mean - decline.to.mean;
  const double threshold = course.Threshold(decline.to, course.current());
  Finding finding;
  finding.holds = HasRisenAgain(course) && (!other || HasRisenAgain(*other)) &&
                  (HasRisenSteadily(course) || (other && HasRisenSteadily(*other)));
  finding.reason = absl::StrFormat(
      "the mean LID fell from %.4g to its minimum %.4g at step %d and is %.3g above it at %.4g "
      "(threshold %.3g)",
      decline.from.mean, decline.to.mean, decline.to.step.value, rise, mean, threshold);
  finding.evidence = {{"mean", mean},
                      {"declined_from", decline.from.mean},
                      {"minimum", decline.to.mean},
                      {"minimum_step", StepNumber(decline.to)},
                      {"rise", rise},
                      {"threshold", threshold}};
  finding.best_step = decline.to.step;
  if (!other) return finding;
  const Level other_minimum = DeclineOf(*other).to;
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
