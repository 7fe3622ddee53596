#include "src/lid/radial.h"

#include <cmath>
#include <numeric>

namespace dimwatch {

std::optional<double> MleLid(std::span<const float> distances, std::span<float> influence) {
  const double farthest = distances.back();
  double sum = 0;
  for (const float distance : distances.first(distances.size() - 1)) {
    sum += std::log(farthest / static_cast<double>(distance));
  }
  if (!std::isfinite(sum) || !(sum > 0)) return std::nullopt;
  const double lid = static_cast<double>(distances.size() - 1) / sum;
  for (std::size_t j = 0; j + 1 < distances.size(); ++j) {
    const double x = std::log(farthest / static_cast<double>(distances[j]));
    influence[j] = static_cast<float>((1 - lid * x) / sum);
  }
  return lid;
}

std::optional<double> MomLid(std::span<const float> distances, std::span<float> influence) {
  const double mean = std::accumulate(distances.begin(), distances.end(), 0.0) /
                      static_cast<double>(distances.size());
  const double rest = static_cast<double>(distances.back()) - mean;
  if (!(rest > 0)) return std::nullopt;
  const auto n = static_cast<double>(distances.size());
  const double slope = static_cast<double>(distances.back()) / (rest * rest) / n;
  for (std::size_t j = 0; j < distances.size(); ++j) {
    influence[j] = static_cast<float>(slope * (static_cast<double>(distances[j]) - mean));
  }
  return mean / rest;
}

}  // namespace dimwatch
