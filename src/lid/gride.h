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

// The dimension that fits mu = r_{2 n1} / r_{n1}, whose density in dimension d is proportional to
// d (mu^d - 1)^(n1 - 1) mu^-((2 n1 - 1) d + 1): of maximum likelihood, but with one ratio less in
// the term n / d, as DADApy does. For n1 = 1 this is the unbiased (n - 1) / sum ln mu. `log_mu`
// holds ln mu, finite and none below 0, in any order. None below two ratios, or if all are 0.
std::optional<Gride> FitGride(std::span<const double> log_mu, int n1);

// Derivatives of the fit by weights, where all weights are 1.
struct RatioInfluence {
  double own = 0;  // of the ratio; sums to 0
  // Of each of the n1 nearest points: as r_k moves by -1 / (k d) of itself when a point inside
  // weighs more, mu moves by 1 / (2 n1 d). Of each of the n1 points behind them: the negative.
  double near = 0;
};
std::vector<RatioInfluence> GrideInfluence(std::span<const double> log_mu, int n1,
                                           const Gride& fit);

}  // namespace dimwatch
