#include "src/signal/course.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

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
  if (first || now.mean > highest_.mean) {
    highest_ = fallen_to_ = now;
    bottom_since_highest_ = BottomAt(now);
  }
  if (first) bottom_ = BottomAt(now);
  Follow(bottom_);
  Follow(bottom_since_highest_);
  if (IsBelow(fallen_to_)) fallen_to_ = now;
}

Course::Bottom Course::BottomAt(const Level& level) {
  return {level, level, std::numeric_limits<double>::infinity(), false};
}

void Course::Follow(Bottom& bottom) const {
  const Level& now = current();
  if (now.mean < bottom.lowest.mean) bottom = BottomAt(now);
  if (bottom.left || now.index <= bottom.lowest.index) return;
  const auto middle = static_cast<std::size_t>(now.index - 1);
  std::array<double, 3> three = {levels_[middle > 0 ? middle - 1 : 0].mean, levels_[middle].mean,
                                 now.mean};
  std::ranges::sort(three);
  bottom.lowest_median = std::min(bottom.lowest_median, three[1]);
  const double slack = settings_.min_delta / 2 * std::abs(bottom.lowest_median);
  bottom.left = three[1] > bottom.lowest_median + slack;
  if (!bottom.left) bottom.last_near = levels_[middle];
}

const Level& Course::last_near(const Level& minimum) const {
  return minimum.index == bottom_.lowest.index ? bottom_.last_near
                                               : bottom_since_highest_.last_near;
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

double Course::IndependentLevels(Noise noise) const {
  const auto all = static_cast<double>(count());
  const Level& now = current();
  if (noise == Noise::kScatter || now.chain != start().chain || !now.error || !(*now.error > 0))
    return all;
  return std::min(all, 1 + now.path_variance / (2 * *now.error * *now.error));
}

double Course::ErrorsAbove(const Level& reference, Noise noise) const {
  const double rise = current().mean - reference.mean;
  double error = DifferenceError(reference, current());
  const bool aligned = reference.chain == current().chain;
  if (const auto scatter = ScatterSince(reference);
      noise == Noise::kScatter && aligned && scatter) {
    error = std::min(error, std::numbers::sqrt2 * *scatter);
  }
  if (error > 0) return rise / error;
  return rise > 0 ? std::numeric_limits<double>::infinity() : 0;
}

std::optional<double> Course::ScatterSince(const Level& reference) const {
  constexpr std::int64_t kLeast = 6;
  constexpr std::int64_t kMost = 30;
  constexpr std::int64_t kLag = 3;
  const std::int64_t last = count() - 1 - kLag;
  const std::int64_t first = std::max(reference.index + kLag, last - kMost + 1);
  const std::int64_t n = last - first + 1;
  if (n < kLeast) return std::nullopt;
  double squares = 0;
  for (std::int64_t i = first; i <= last; ++i) {
    const double bend = Average(i, 1) - (Average(i - kLag, 1) + Average(i + kLag, 1)) / 2;
    squares += bend * bend;
  }
  constexpr double kBend = 1.5;  // the variance of a bend, where that of a level is 1
  return std::sqrt(squares / (kBend * static_cast<double>(n - 3)));  // few bends tell too little
}

bool Course::HasDeclined() const {
  return start().mean - lowest().mean > Threshold(start(), lowest());
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
  const std::int64_t least = std::int64_t{3} * settings_.patience;
  const std::int64_t most = std::int64_t{8} * settings_.patience;
  const std::int64_t width = std::max(least, count() / 3);
  const std::int64_t stride = (width + most - 1) / most;
  std::vector<Level> levels;
  if (count() < least) return levels;
  for (std::int64_t back = width / stride - 1; back >= 0; --back) {
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
  const double noise = settings_.z_score * line->error;
  return all_near && std::abs(line->change) <= std::min(delta, noise) &&
         std::abs(line->change) + noise <= 2 * delta;
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
