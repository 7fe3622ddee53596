#include "src/lid/twonn.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace dimwatch {
namespace {

// y_k of `ratios` ratios. Logarithms cost more than the rest of a fit, and most fits are alike.
std::span<const double> ExpectedRatios(std::size_t ratios, Cdf cdf) {
  thread_local std::array<std::vector<double>, 2> last;
  std::vector<double>& expected = last[cdf == Cdf::kPaper ? 0 : 1];
  if (expected.size() == ratios) return expected;
  expected.resize(ratios);
  const auto n = static_cast<double>(ratios);
  for (std::size_t k = 0; k < ratios; ++k) {
    const double below = static_cast<double>(cdf == Cdf::kPaper ? k : k + 1) / n;
    expected[k] = -std::log1p(-below);
  }
  return expected;
}

}  // namespace

double LogRatio(double r1, double r2) {
  return r1 > 0 ? std::log(r2 / r1) : std::numeric_limits<double>::infinity();
}

std::optional<double> FitTwoNn(std::span<const double> log_mu, Cdf cdf, Fit fit) {
  const std::size_t retained = RetainedRatios(log_mu.size());
  const auto n = static_cast<double>(log_mu.size());
  const std::span<const double> expected = ExpectedRatios(log_mu.size(), cdf);
  double sum_x = 0, sum_xx = 0, sum_xy = 0;
  for (std::size_t k = 0; k < retained; ++k) {
    const double x = log_mu[k], y = expected[k];
    sum_x += x;
    sum_xx += x * x;
    sum_xy += x * y;
  }
  if (retained < 2 || !std::isfinite(sum_xx) || !(sum_xx > 0)) return std::nullopt;
  if (fit == Fit::kOls) return sum_xy / sum_xx;
  const auto K = static_cast<double>(retained);
  return (K - 1) / (sum_x + (n - K) * log_mu[retained - 1]);
}

void TwoNnInfluence(std::span<const double> log_mu, double dimension, Cdf cdf, Fit fit,
                    std::span<double> out) {
  const std::size_t retained = RetainedRatios(log_mu.size());
  const auto n = static_cast<double>(log_mu.size());
  if (fit == Fit::kMl) {
    const double scale = dimension / static_cast<double>(retained - 1);
    for (std::size_t k = 0; k < log_mu.size(); ++k) {
      const std::size_t used = std::min(k, retained - 1);
      out[k] = scale * ((k < retained ? 1 : 0) - dimension * log_mu[used]);
    }
    return;
  }
  // d y_k / d w_j = ((x_j <= x_k) - F_k) / (n (1 - F_k)): every ratio above j rises, all are
  // diluted.
  const auto survival = [&](std::size_t k) {
    return 1 - static_cast<double>(cdf == Cdf::kPaper ? k : k + 1) / n;
  };
  double sum_xx = 0, diluted = 0;
  for (std::size_t k = 0; k < retained; ++k) {
    sum_xx += log_mu[k] * log_mu[k];
    diluted += log_mu[k] * (1 / survival(k) - 1) / n;
  }
  double raised = 0;
  for (std::size_t k = log_mu.size(); k-- > 0;) {
    double own = 0;
    if (k < retained) {
      raised += log_mu[k] / survival(k) / n;
      own = log_mu[k] * (-std::log(survival(k)) - dimension * log_mu[k]);
    }
    out[k] = (own + raised - diluted) / sum_xx;
  }
}

}  // namespace dimwatch
