#include <cmath>
#include <cstdint>

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
bool HasRisenAgain(const Course& course, double min_delta, bool may_pass_start) {
  const Decline decline = DeclineOf(course);
  const double rise = course.current().mean - decline.to.mean;
  return rise > min_delta * std::abs(decline.to.mean) &&
         (may_pass_start || !course.IsAbove(decline.from));
}

// The LID rises less than half as fast as it fell, or has done so for 2 x patience estimates: a
// fast rise is how memorizing or an instability begins, and is soon above the start.
bool IsNoJump(const Course& course, std::int64_t patience) {
  constexpr double kSpeed = 0.5;
  const Decline decline = DeclineOf(course);
  const Level& now = course.current();
  const auto fell_in = static_cast<double>(decline.to.step.value - decline.from.step.value);
  const auto rose_in = static_cast<double>(now.step.value - decline.to.step.value);
  const double fall = decline.from.mean - decline.to.mean;
  return now.index - decline.to.index >= 2 * patience ||
         (now.mean - decline.to.mean) * fell_in < kSpeed * fall * rose_in;
}

// When the course left its minimum; the minimum itself, where it has not left it for long.
Step WhenItLeft(const Course& course) {
  const Level& minimum = DeclineOf(course).to;
  const Level& last_near = course.last_near(minimum);
  const bool long_ago = 2 * last_near.index <= minimum.index + course.current().index;
  return long_ago ? last_near.step : minimum.step;
}

// How many standard errors the rise is of, on both splits together, with the loss of a validation
// metric if there is one: their errors are independent (Stouffer's combination).
double ErrorsRisen(const Course& course, const Course* other,
                   const std::optional<MetricLoss>& metric, Course::Noise noise) {
  double sum = course.ErrorsAbove(DeclineOf(course).to, noise);
  double terms = 1;
  if (other) {
    sum += other->ErrorsAbove(DeclineOf(*other).to, noise);
    ++terms;
  }
  if (metric) {
    sum += metric->errors;
    ++terms;
  }
  return sum / std::sqrt(terms);
}

bool HasRisenSteadily(const Course& course) {
  return course.HasRisenSteadily(DeclineOf(course).to);
}

// How many it must be of: a minimum of n independent levels lies low by chance, so the odds of
// z_score errors are divided by n (Bonferroni, with the tail exp(-z^2 / 2)).
double ErrorsNeeded(const Course& course, double z_score, Course::Noise noise) {
  return std::sqrt(z_score * z_score + 2 * std::log(course.IndependentLevels(noise)));
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
  const Course& unseen = other && view.split != Split::kValidation ? *other : course;
  const Step best_step = unseen.last_near(DeclineOf(unseen).to).step;
  const std::optional<MetricLoss> metric = view.metrics.LossSince(WhenItLeft(unseen), view.now);
  const bool got_worse = metric && metric->errors > view.settings.z_score;
  // A metric can contradict: then the scatter is noise enough, and tells sooner.
  const Course::Noise noise = metric ? Course::Noise::kScatter : Course::Noise::kNewInputs;
  const double errors = ErrorsRisen(course, other, metric, noise);
  const SignalSettings& settings = view.settings;
  const double needed = ErrorsNeeded(course, settings.z_score, noise);
  Finding finding;
  finding.holds = errors > needed && HasRisenAgain(course, settings.min_delta, got_worse) &&
                  (!other || HasRisenAgain(*other, settings.min_delta, got_worse)) &&
                  (got_worse || HasRisenSteadily(course) || (other && HasRisenSteadily(*other))) &&
                  IsNoJump(course, settings.patience) &&
                  (!other || IsNoJump(*other, settings.patience)) &&
                  !(metric && metric->errors < 0);
  finding.reason = absl::StrFormat(
      "the mean LID fell from %.4g to its minimum %.4g at step %d and is %.3g above it at %.4g",
      decline.from.mean, decline.to.mean, decline.to.step.value, rise, mean);
  finding.evidence = {{"mean", mean},
                      {"declined_from", decline.from.mean},
                      {"minimum", decline.to.mean},
                      {"minimum_step", StepNumber(decline.to)},
                      {"rise", rise}};
  finding.best_step = best_step;
  if (other) {
    const Level other_minimum = DeclineOf(*other).to;
    finding.reason +=
        absl::StrFormat("; %s is at %.4g after a minimum of %.4g at step %d", view.other_name,
                        other->current().mean, other_minimum.mean, other_minimum.step.value);
    finding.evidence.insert({{"other_mean", other->current().mean},
                             {"other_minimum", other_minimum.mean},
                             {"other_minimum_step", StepNumber(other_minimum)}});
  }
  if (metric) {
    finding.reason +=
        absl::StrFormat("; %s went from %.4g to %.4g on average since step %d", metric->name,
                        metric->before, metric->now, WhenItLeft(unseen).value);
    if (std::isfinite(metric->errors)) finding.evidence["metric_errors"] = metric->errors;
  }
  if (std::isfinite(errors)) {
    finding.reason += absl::StrFormat(" (%.3g standard errors%s, %.3g needed)", errors,
                                      other || metric ? " together" : "", needed);
    finding.evidence.insert({{"errors", errors}, {"errors_needed", needed}});
  }
  return finding;
}

}  // namespace dimwatch
