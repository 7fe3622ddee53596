// Gride: the dimension at a scale, from ratios of distances further out (Denti et al. 2022,
// "The generalized ratios intrinsic dimension estimator", doi 10.1038/s41598-022-20991-1).
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace dimwatch {

struct Gride {
  double dimension = 0;
  double information = 0;  // observed; 1 / sqrt of it is the error if the ratios were independent
};

// The maximum-likelihood dimension of mu = r_{2 n1} / r_{n1}, whose density in dimension d is
// proportional to d (mu^d - 1)^(n1 - 1) mu^-((2 n1 - 1) d + 1). `log_mu` holds ln mu, finite and
// none below 0, in any order. None if there is none or all are 0. For n1 = 1 this is TwoNN's
// n / sum ln mu.
std::optional<Gride> FitGride(std::span<const double> log_mu, int n1);

// The derivative of the fit by the weight of each ratio, where all weights are 1. Sums to 0.
std::vector<double> GrideInfluence(std::span<const double> log_mu, int n1, const Gride& fit);

}  // namespace dimwatch
