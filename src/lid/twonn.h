// TwoNN: the dimension from the ratio mu = r2 / r1 of the distances to the two nearest points
// (Facco et al. 2017, doi 10.1038/s41598-017-11873-y), on the whole cloud or, as Ruppik et al.
// (arXiv 2506.01034) do, inside the neighborhood of each point.
//
// In dimension d the law of mu is Pareto: P(mu > m) = m^-d. Of the n ratios, sorted, the
// floor(0.9 n) smallest are used: x_k = ln mu_(k), y_k = -ln(1 - F_k).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "src/lid/settings.h"

namespace dimwatch {

// The share of the largest ratios that is left out is 1/10.
constexpr std::size_t RetainedRatios(std::size_t ratios) { return ratios * 9 / 10; }

// The dimension that fits ln mu, given in ascending order.
// kOls: sum x_k y_k / sum x_k^2, with F_k = (k - 1) / n (kPaper) or k / n (kUpper).
// kMl: (K - 1) / (sum x_k + (n - K) x_K), the unbiased maximum-likelihood estimate from the K
// smallest of n; `cdf` plays no part.
// None where a retained x_k is not finite or all are 0.
std::optional<double> FitTwoNn(std::span<const double> log_mu, Cdf cdf, Fit fit);

// The derivative of that fit, `dimension`, by the weight of each ratio, where all weights are 1 and
// the weighted empirical distribution takes the place of F. Sums to about 0. O(n).
// REQUIRES: FitTwoNn(log_mu, cdf, fit) == dimension.
void TwoNnInfluence(std::span<const double> log_mu, double dimension, Cdf cdf, Fit fit,
                    std::span<double> out);

// ln mu of one pair of distances 0 <= r1 <= r2; +infinity where r1 = 0.
double LogRatio(double r1, double r2);

}  // namespace dimwatch
