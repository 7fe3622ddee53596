#include "src/lid/global.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "src/lid/gride.h"
#include "src/lid/twonn.h"

namespace dimwatch {
namespace {

// A fit, and its derivatives by weights in the order given.
struct Fitted {
  double dimension = 0;
  std::vector<RatioInfluence> influence;
};

std::optional<Fitted> FitTwoNnUnsorted(std::span<const double> log_mu,
                                       const EstimatorSettings& settings) {
  std::vector<std::size_t> order(log_mu.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return log_mu[a] < log_mu[b]; });
  std::vector<double> sorted;
  sorted.reserve(order.size());
  for (const std::size_t i : order) sorted.push_back(log_mu[i]);
  const std::optional<double> dimension = FitTwoNn(sorted, settings.cdf, settings.fit);
  if (!dimension) return std::nullopt;
  std::vector<double> of_sorted(sorted.size());
  TwoNnInfluence(sorted, *dimension, settings.cdf, settings.fit, of_sorted);
  Fitted result{*dimension, std::vector<RatioInfluence>(sorted.size())};
  for (std::size_t k = 0; k < order.size(); ++k) result.influence[order[k]].own = of_sorted[k];
  return result;
}

std::optional<Fitted> FitRatios(std::span<const double> log_mu, int n1,
                                const EstimatorSettings& settings) {
  if (settings.estimator == Estimator::kTwoNnGlobal) return FitTwoNnUnsorted(log_mu, settings);
  const std::optional<Gride> fit = FitGride(log_mu, n1);
  if (!fit) return std::nullopt;
  return Fitted{fit->dimension, GrideInfluence(log_mu, n1, *fit)};
}

}  // namespace

GlobalDimension EstimateGlobal(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                               std::size_t points, const EstimatorSettings& settings) {
  const int n1 = settings.estimator == Estimator::kGride ? settings.neighbors / 2 : 1;
  const auto near = static_cast<std::size_t>(n1 - 1), far = static_cast<std::size_t>(2 * n1 - 1);
  std::vector<double> log_mu;
  std::vector<std::size_t> valid;  // the query of each ratio
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const double ratio = LogRatio(lists.distances(q)[near], lists.distances(q)[far]);
    if (!std::isfinite(ratio)) continue;
    log_mu.push_back(ratio);
    valid.push_back(q);
  }
  GlobalDimension result;
  result.invalid = static_cast<std::int64_t>(queries.size() - valid.size());
  const std::optional<Fitted> fit = FitRatios(log_mu, n1, settings);
  if (!fit) return result;
  result.dimension = fit->dimension;
  if (valid.size() < 2) return result;
  std::vector<RatioInfluence> influence(queries.size());
  for (std::size_t i = 0; i < valid.size(); ++i) influence[valid[i]] = fit->influence[i];
  result.error = settings.estimator == Estimator::kGride
                     ? ErrorOfGride(lists, queries, points, near + 1, influence)
                     : ErrorOfTwoNn(lists, queries, points, influence);
  return result;
}

}  // namespace dimwatch
