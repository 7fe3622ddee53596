#include "src/lid/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dimwatch {
namespace {

double QuantileOf(std::span<const double> sorted, double quantile) {
  const double position = quantile * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

}  // namespace

Summary Summarize(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  Summary summary{.mean = mean, .std = std::nullopt, .quantiles = {}};
  if (values.size() > 1) summary.std = std::sqrt(squares / (n - 1));
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  for (const double quantile : kQuantiles) {
    summary.quantiles.push_back({quantile, QuantileOf(sorted, quantile)});
  }
  return summary;
}

}  // namespace dimwatch
