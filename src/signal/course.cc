#include "src/signal/course.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dimwatch {

double DifferenceError(const Level& a, const Level& b) {
  std::optional<double> independent;
  if (a.error && b.error) independent = std::hypot(*a.error, *b.error);
  if (a.chain != b.chain) return independent.value_or(0);
  const double along_path = std::sqrt(std::abs(a.path_variance - b.path_variance));
  return std::min(independent.value_or(along_path), along_path);
}

void Course::Observe(const EstimatePoint& point) {
  const std::int64_t index = count();
  Level now{point.step, *point.mean, point.standard_error, index, 0, index};
  if (!chain_broken_ && point.paired_change_standard_error) {
    const double error = *point.paired_change_standard_error;
    now.path_variance = current().path_variance + error * error;
    now.chain = current().chain;
  }
  chain_broken_ = false;
  const bool first = levels_.empty();
  levels_.push_back(now);
  if (first || now.mean < lowest_.mean) lowest_ = now;
  if (first || now.mean > highest_.mean) highest_ = lowest_since_highest_ = fallen_to_ = now;
  if (now.mean < lowest_since_highest_.mean) lowest_since_highest_ = now;
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

double Course::IndependentLevels() const {
  const auto all = static_cast<double>(count());
  const Level& now = current();
  if (now.chain != start().chain || !now.error || !(*now.error > 0)) return all;
  return std::min(all, 1 + now.path_variance / (2 * *now.error * *now.error));
}

double Course::ErrorsAbove(const Level& reference) const {
  const double rise = current().mean - reference.mean;
  const double error = DifferenceError(reference, current());
  if (error > 0) return rise / error;
  return rise > 0 ? std::numeric_limits<double>::infinity() : 0;
}

bool Course::HasDeclined() const {
  return start().mean - lowest_.mean > Threshold(start(), lowest_);
}

bool Course::HasRisen() const {
  return highest_.mean - start().mean > Threshold(start(), highest_);
}

bool Course::IsFalling() const {
  const std::int64_t now = current().index;
  const std::int64_t began = highest_.index;
  const std::int64_t reached = fallen_to_.index;
  return reached > began &&
         now - reached <= std::max(std::int64_t{2} * settings_.patience, (now - began) / 2);
}

bool Course::HasRisenSteadily(const Level& minimum) const {
  constexpr double kLaterShare = 0.25;
  const std::int64_t now = current().index;
  const std::int64_t width =
      std::clamp<std::int64_t>((now - minimum.index) / 4, 1, settings_.patience);
  const std::int64_t middle = (minimum.index + now + 1) / 2;
  const double newest = Average(now - width + 1, width);
  return newest - Average(middle - width / 2, width) >= kLaterShare * (newest - minimum.mean);
}

double Course::Average(std::int64_t first, std::int64_t count) const {
  double sum = 0;
  for (std::int64_t i = first; i < first + count; ++i) {
    sum += levels_[static_cast<std::size_t>(i)].mean / static_cast<double>(count);
  }
  return sum;
}

std::vector<Level> Course::TrendLevels() const {
  const std::int64_t size = std::int64_t{3} * settings_.patience;
  const std::int64_t stride = std::max<std::int64_t>(1, count() / (3 * size));
  std::vector<Level> levels;
  if (count() < size) return levels;
  for (std::int64_t back = size - 1; back >= 0; --back) {
    levels.push_back(levels_[static_cast<std::size_t>(count() - 1 - back * stride)]);
  }
  return levels;
}

bool Course::IsFlat() const {
  const std::optional<Trend> line = trend();
  if (!line) return false;
  const std::vector<Level> recent = TrendLevels();
  const double delta = settings_.min_delta * std::abs(line->average);
  const bool all_near = std::all_of(recent.begin(), recent.end(), [&](const Level& level) {
    return std::abs(level.mean - line->average) <=
           std::max(delta, settings_.z_score * level.error.value_or(0));
  });
  return all_near && std::abs(line->change) <= std::min(delta, settings_.z_score * line->error);
}

std::optional<Trend> Course::trend() const {
  const std::vector<Level> recent = TrendLevels();
  if (recent.empty()) return std::nullopt;
  const double n = static_cast<double>(recent.size());
  const auto x = [&](const Level& level) {
    return static_cast<double>(level.step.value - recent.front().step.value);
  };
  double mean_x = 0;
  double mean_y = 0;
  for (const Level& level : recent) {
    mean_x += x(level) / n;
    mean_y += level.mean / n;
  }
  double sxx = 0;
  double sxy = 0;
  double error_variance = 0;  // of sxy, from the errors of the levels
  for (const Level& level : recent) {
    const double dx = x(level) - mean_x;
    const double error = level.error.value_or(0);
    sxx += dx * dx;
    sxy += dx * (level.mean - mean_y);
    error_variance += dx * dx * error * error;
  }
  const double slope = sxy / sxx;
  double residual_squares = 0;
  for (const Level& level : recent) {
    const double residual = level.mean - mean_y - slope * (x(level) - mean_x);
    residual_squares += residual * residual;
  }
  const double span = x(recent.back());
  double slope_error = std::sqrt(residual_squares / ((n - 2) * sxx));
  const bool aligned = recent.front().chain == recent.back().chain;
  if (!aligned) slope_error = std::max(slope_error, std::sqrt(error_variance) / sxx);
  return Trend{recent.front().step, mean_y, slope * span, slope_error * span};
}

Step Course::horizon() const {
  const std::int64_t recent = std::max(std::int64_t{2} * settings_.patience, count() / 4);
  const std::int64_t index = std::max<std::int64_t>(0, count() - 1 - recent);
  return levels_[static_cast<std::size_t>(index)].step;
}

}  // namespace dimwatch
