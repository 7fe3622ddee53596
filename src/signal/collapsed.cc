#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {
namespace {

// A cloud that shrank three hundredfold in every direction; strong weight decay shrinks healthy
// ones fortyfold, and the LID does not see a change of scale.
constexpr double kVanishedVariance = 1e-5;

double LostShare(const EstimatePoint& point) {
  return point.rows == 0 ? 0
                         : static_cast<double>(point.nonfinite_rows + point.duplicate_rows) /
                               static_cast<double>(point.rows);
}

}  // namespace

bool CountsForCollapse(const SignalSettings& settings, const EstimatePoint& point) {
  return point.complete || LostShare(point) > settings.collapse_ratio;
}

Finding FindCollapsed(const SignalSettings& settings, const CollapseHistory& history,
                      const EstimatePoint& point) {
  const double lost = LostShare(point);
  Finding finding;
  finding.best_step = history.last_sound;
  finding.evidence = {
      {"lost_ratio", lost}, {"variance", point.variance}, {"peak_variance", history.peak_variance}};
  if (point.mean) finding.evidence["mean"] = *point.mean;
  finding.holds = true;
  if (lost > settings.collapse_ratio) {
    finding.reason = absl::StrFormat(
        "%d of %d rows are not finite and %d are copies of another, together more than %.3g %%",
        point.nonfinite_rows, point.rows, point.duplicate_rows, 100 * settings.collapse_ratio);
  } else if (point.mean && *point.mean < settings.collapse_lid) {
    finding.reason =
        absl::StrFormat("the mean LID is %.3g, below %.3g", *point.mean, settings.collapse_lid);
  } else if (point.variance < kVanishedVariance * history.peak_variance) {
    finding.reason = absl::StrFormat("the variance of the cloud fell from %.3g to %.3g",
                                     history.peak_variance, point.variance);
  } else {
    finding.holds = false;
    finding.reason =
        absl::StrFormat("%.3g %% of the rows are not finite or copies, and the variance is %.3g",
                        100 * lost, point.variance);
  }
  return finding;
}

}  // namespace dimwatch
