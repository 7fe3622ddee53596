#include "src/lid/gride.h"

#include <cmath>

namespace dimwatch {
namespace {

// Of one ratio's log-likelihood, which is concave in d.
struct Derivatives {
  double first = 0;
  double second = 0;
};

Derivatives Derive(double x, int n1, double d) {
  const double m = n1 - 1;
  const double above = -std::expm1(-d * x);            // 1 - mu^-d
  const double ratio = above > 0 ? x / above : 1 / d;  // its limit as mu falls to 1
  return {1 / d - (2 * n1 - 1) * x + m * ratio, -1 / (d * d) - m * ratio * ratio * (1 - above)};
}

// Of the first derivative, by x.
double DeriveByRatio(double x, int n1, double d) {
  const double above = -std::expm1(-d * x);
  // Its limit as mu falls to 1 is 1/2, and its terms cancel before.
  const double curve = d * x > 1e-4 ? (above - d * x * (1 - above)) / (above * above) : 0.5;
  return (n1 - 1) * curve - (2 * n1 - 1);
}

Derivatives DeriveAll(std::span<const double> log_mu, int n1, double d) {
  Derivatives sum{-1 / d, 0};
  for (const double x : log_mu) {
    const Derivatives one = Derive(x, n1, d);
    sum.first += one.first;
    sum.second += one.second;
  }
  return sum;
}

}  // namespace

std::optional<Gride> FitGride(std::span<const double> log_mu, int n1) {
  double sum = 0;
  for (const double x : log_mu) sum += x;
  if (log_mu.size() < 2 || !(sum > 0)) return std::nullopt;
  // The first derivative falls from infinity through 0: bisection in ln d, to the last bit.
  double low = std::log(static_cast<double>(log_mu.size()) / sum) - 1;
  while (DeriveAll(log_mu, n1, std::exp(low)).first < 0) low -= 1;
  double high = low + 1;
  while (DeriveAll(log_mu, n1, std::exp(high)).first > 0) high += 1;
  double middle = 0.5 * (low + high);
  while (low < middle && middle < high) {
    (DeriveAll(log_mu, n1, std::exp(middle)).first > 0 ? low : high) = middle;
    middle = 0.5 * (low + high);
  }
  const double d = std::exp(middle);
  return Gride{d, -DeriveAll(log_mu, n1, d).second};
}

std::vector<RatioInfluence> GrideInfluence(std::span<const double> log_mu, int n1,
                                           const Gride& fit) {
  const double d = fit.dimension, of_mu = 1 / (2 * n1 * d);
  std::vector<RatioInfluence> influence;
  influence.reserve(log_mu.size());
  for (const double x : log_mu) {
    influence.push_back({Derive(x, n1, d).first / fit.information,
                         of_mu * DeriveByRatio(x, n1, d) / fit.information});
  }
  return influence;
}

}  // namespace dimwatch
