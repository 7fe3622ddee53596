#include <cmath>
#include <numbers>

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

// Above the minimum by more than min_delta, but not above what it declined from: a rise beyond the
// start, after a small dip at most, is how memorizing begins.
bool HasRisenAgain(const Course& course, double min_delta) {
  const Decline decline = DeclineOf(course);
  const double rise = course.current().mean - decline.to.mean;
  return rise > min_delta * std::abs(decline.to.mean) && !course.IsAbove(decline.from);
}

// How many standard errors the rise is of, on both splits together: their inputs are drawn apart,
// so that their errors are independent (Stouffer's combination).
double ErrorsRisen(const Course& course, const Course* other) {
  const double errors = course.ErrorsAbove(DeclineOf(course).to);
  if (!other) return errors;
  return (errors + other->ErrorsAbove(DeclineOf(*other).to)) / std::numbers::sqrt2;
}

bool HasRisenSteadily(const Course& course) {
  return course.HasRisenSteadily(DeclineOf(course).to);
}

// How many it must be of: a minimum of n independent levels lies low by chance, so the odds of
// z_score errors are divided by n (Bonferroni, with the tail exp(-z^2 / 2)).
double ErrorsNeeded(const Course& course, double z_score) {
  return std::sqrt(z_score * z_score + 2 * std::log(course.IndependentLevels()));
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
  const double errors = ErrorsRisen(course, other);
  const SignalSettings& settings = view.settings;
  const double needed = ErrorsNeeded(course, settings.z_score);
  Finding finding;
  finding.holds = errors > needed && HasRisenAgain(course, settings.min_delta) &&
                  (!other || HasRisenAgain(*other, settings.min_delta)) &&
                  (HasRisenSteadily(course) || (other && HasRisenSteadily(*other)));
  finding.reason = absl::StrFormat(
      "the mean LID fell from %.4g to its minimum %.4g at step %d and is %.3g above it at %.4g",
      decline.from.mean, decline.to.mean, decline.to.step.value, rise, mean);
  finding.evidence = {{"mean", mean},
                      {"declined_from", decline.from.mean},
                      {"minimum", decline.to.mean},
                      {"minimum_step", StepNumber(decline.to)},
                      {"rise", rise}};
  finding.best_step = decline.to.step;
  if (other) {
    const Level other_minimum = DeclineOf(*other).to;
    finding.reason +=
        absl::StrFormat("; %s is at %.4g after a minimum of %.4g at step %d", view.other_name,
                        other->current().mean, other_minimum.mean, other_minimum.step.value);
    finding.evidence.insert({{"other_mean", other->current().mean},
                             {"other_minimum", other_minimum.mean},
                             {"other_minimum_step", StepNumber(other_minimum)}});
    if (view.split != Split::kValidation) finding.best_step = other_minimum.step;
  }
  if (std::isfinite(errors)) {
    finding.reason += absl::StrFormat(" (%.3g standard errors%s, %.3g needed)", errors,
                                      other ? " together" : "", needed);
    finding.evidence.insert({{"errors", errors}, {"errors_needed", needed}});
  }
  return finding;
}

}  // namespace dimwatch
