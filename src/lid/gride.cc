#include "src/lid/gride.h"

#include <cmath>

namespace dimwatch {
namespace {

// Of the log-likelihood, which is concave.
struct Derivatives {
  double first = 0;
  double second = 0;
};

Derivatives DeriveLogLikelihood(std::span<const double> log_mu, int n1, double d) {
  const auto n = static_cast<double>(log_mu.size());
  const double m = n1 - 1;
  Derivatives result{n / d, -n / (d * d)};
  for (const double x : log_mu) {
    result.first -= 2 * n1 * x - x;
    const double above = -std::expm1(-d * x);            // 1 - mu^-d
    const double ratio = above > 0 ? x / above : 1 / d;  // its limit as mu falls to 1
    result.first += m * ratio;
    result.second -= m * ratio * ratio * (1 - above);
  }
  return result;
}

}  // namespace

std::optional<Gride> FitGride(std::span<const double> log_mu, int n1) {
  double sum = 0;
  for (const double x : log_mu) sum += x;
  if (!(sum > 0)) return std::nullopt;
  // The first derivative falls from infinity through 0. Where d is too small a Newton step in ln d
  // may overshoot; bisection in ln d is safe, and 200 halvings reach the last bit.
  double low = std::log(static_cast<double>(log_mu.size()) / sum) - 1;
  while (DeriveLogLikelihood(log_mu, n1, std::exp(low)).first < 0) low -= 1;
  double high = low + 1;
  while (DeriveLogLikelihood(log_mu, n1, std::exp(high)).first > 0) high += 1;
  double middle = 0.5 * (low + high);
  while (low < middle && middle < high) {
    (DeriveLogLikelihood(log_mu, n1, std::exp(middle)).first > 0 ? low : high) = middle;
    middle = 0.5 * (low + high);
  }
  const double d = std::exp(middle);
  return Gride{d, 1 / std::sqrt(-DeriveLogLikelihood(log_mu, n1, d).second)};
}

}  // namespace dimwatch
