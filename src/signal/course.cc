#include "src/signal/course.h"

#include <algorithm>
#include <cmath>

namespace dimwatch {

double DifferenceError(const Level& a, const Level& b) {
  std::optional<double> independent;
  if (a.error && b.error) independent = std::hypot(*a.error, *b.error);
  if (a.chain != b.chain) return independent.value_or(0);
  const double along_path = std::sqrt(std::abs(a.path_variance - b.path_variance));
  return std::min(independent.value_or(along_path), along_path);
}

void Course::Observe(const EstimatePoint& point) {
  Level now{point.step, *point.mean, point.standard_error, count_, 0, count_};
  if (!chain_broken_ && point.paired_change_standard_error) {
    const double error = *point.paired_change_standard_error;
    now.path_variance = current().path_variance + error * error;
    now.chain = current().chain;
  }
  chain_broken_ = false;
  if (count_ == 0) start_ = now;
  if (count_ == 0 || now.mean > peak_.mean) peak_ = floor_since_peak_ = fallen_to_ = now;
  if (count_ == 0 || now.mean < floor_.mean) floor_ = risen_to_ = now;
  if (now.mean < floor_since_peak_.mean) floor_since_peak_ = now;
  ++count_;
  recent_.push_back(now);
  if (std::ssize(recent_) > 3 * settings_.patience) recent_.pop_front();
  if (IsAbove(risen_to_)) risen_to_ = now;
  if (IsBelow(fallen_to_)) fallen_to_ = now;
}

double Course::Threshold(const Level& reference, const Level& other) const {
  return std::max(settings_.min_delta * std::abs(reference.mean),
                  settings_.z_score * DifferenceError(reference, other));
}

bool Course::IsAbove(const Level& reference) const {
  return current().mean - reference.mean > Threshold(reference, current());
}

bool Course::IsBelow(const Level& reference) const {
  return reference.mean - current().mean > Threshold(reference, current());
}

bool Course::HasDeclined() const { return start_.mean - floor_.mean > Threshold(start_, floor_); }

bool Course::HasRisen() const { return peak_.mean - start_.mean > Threshold(start_, peak_); }

bool Course::GoesOn(std::int64_t began, std::int64_t progressed) const {
  const std::int64_t now = count_ - 1;
  return progressed > began &&
         now - progressed <= std::max<std::int64_t>(2 * settings_.patience, (now - began) / 2);
}

bool Course::IsStillRising() const { return GoesOn(floor_.index, risen_to_.index); }

bool Course::IsStillFalling() const { return GoesOn(peak_.index, fallen_to_.index); }

std::optional<Trend> Course::trend() const {
  const std::ptrdiff_t size = 3 * settings_.patience;
  if (std::ssize(recent_) < size) return std::nullopt;
  const double n = static_cast<double>(size);
  const auto x = [&](const Level& level) {
    return static_cast<double>(level.step.value - recent_.front().step.value);
  };
  double mean_x = 0;
  double mean_y = 0;
  for (const Level& level : recent_) {
    mean_x += x(level) / n;
    mean_y += level.mean / n;
  }
  double sxx = 0;
  double sxy = 0;
  double error_variance = 0;  // of sxy, from the errors of the levels
  for (const Level& level : recent_) {
    const double dx = x(level) - mean_x;
    const double error = level.error.value_or(0);
    sxx += dx * dx;
    sxy += dx * (level.mean - mean_y);
    error_variance += dx * dx * error * error;
  }
  const double slope = sxy / sxx;
  double residual_squares = 0;
  for (const Level& level : recent_) {
    const double residual = level.mean - mean_y - slope * (x(level) - mean_x);
    residual_squares += residual * residual;
  }
  const double span = x(recent_.back());
  const double slope_error =
      std::max(std::sqrt(error_variance) / sxx, std::sqrt(residual_squares / ((n - 2) * sxx)));
  return Trend{slope * span, slope_error * span};
}

Step Course::horizon() const {
  const std::size_t back =
      std::min<std::size_t>(recent_.size(), 2 * static_cast<std::size_t>(settings_.patience) + 1);
  return recent_[recent_.size() - back].step;
}

}  // namespace dimwatch
