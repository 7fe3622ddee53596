#include "src/lid/queries.h"

#include <algorithm>
#include <cmath>

#include "src/base/random_subset.h"

namespace dimwatch {
namespace {

// Enough to know both parts of the error to some percent.
constexpr std::size_t kFirstBatch = 256;
// An early error is a rough one: so a batch may ask for no more than this many times as many.
constexpr std::size_t kGrowth = 4;
constexpr double kMargin = 1.05;

}  // namespace

std::vector<std::uint32_t> ChooseQueries(std::span<const std::uint64_t> keys, std::size_t count,
                                         std::int64_t seed) {
  constexpr std::uint64_t kQueryStream = 0x9e3779b97f4a7c15;  // apart from the choice of points
  return ChooseUniformly(keys, count, static_cast<std::uint64_t>(seed) ^ kQueryStream);
}

std::size_t FirstQueries(std::size_t points, const EstimatorSettings& settings) {
  if (settings.target_standard_error > 0) {
    return kFirstBatch > points / 2 ? points : kFirstBatch;
  }
  if (settings.queries == 0) return points;
  return std::min(points, static_cast<std::size_t>(settings.queries));
}

std::size_t EnoughQueries(std::size_t points, std::size_t queries, double mean,
                          const EstimateError& error, double target) {
  const double allowed = target * target * mean * mean;
  const double variance = error.standard_error * error.standard_error;
  if (queries == points || variance <= allowed) return queries;
  const double of_cloud = std::max(0.0, variance - error.variance_of_choice);
  const double of_one = error.variance_of_choice * static_cast<double>(queries);
  const bool within_reach = of_cloud + of_one / static_cast<double>(points) <= allowed;
  const double of_choice = within_reach ? allowed - of_cloud : of_cloud / 4;
  if (error.variance_of_choice <= of_choice) return queries;
  const double wanted = std::ceil(kMargin * of_one / of_choice);
  const double next = std::min(wanted, static_cast<double>(kGrowth * queries));
  return next > static_cast<double>(points) / 2 ? points : static_cast<std::size_t>(next);
}

}  // namespace dimwatch
