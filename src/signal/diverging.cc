#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "src/signal/detectors.h"

namespace dimwatch {

std::optional<SplitGap> GapOf(const Level& train, const Level& validation) {
  if (train.mean <= 0 || validation.mean <= 0) return std::nullopt;
  return SplitGap{validation.step, std::log(validation.mean / train.mean),
                  std::hypot(train.error.value_or(0) / train.mean,
                             validation.error.value_or(0) / validation.mean)};
}

Finding FindDiverging(const SignalSettings& settings, const SplitGap& closest,
                      const SplitGap& now) {
  const double growth = std::abs(now.log_ratio) - std::abs(closest.log_ratio);
  const double threshold =
      std::max(settings.min_delta, settings.z_score * std::hypot(now.error, closest.error));
  Finding finding;
  finding.holds = growth > threshold;
  finding.reason = absl::StrFormat(
      "validation LID is %.3g times the training LID after %.3g times at step %d: the logarithm of "
      "their ratio moved by %.3g (threshold %.3g)",
      std::exp(now.log_ratio), std::exp(closest.log_ratio), closest.step.value, growth, threshold);
  finding.evidence = {{"ratio", std::exp(now.log_ratio)},
                      {"closest_ratio", std::exp(closest.log_ratio)},
                      {"closest_step", static_cast<double>(closest.step.value)},
                      {"growth", growth},
                      {"threshold", threshold}};
  return finding;
}

}  // namespace dimwatch
