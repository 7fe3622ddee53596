// Moments and quantiles of pointwise values.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "src/lid/cloud_estimate.h"

namespace dimwatch {

struct Summary {
  std::optional<double> mean;       // none of nothing
  std::optional<double> std;        // ddof 1; none below two values
  std::vector<Quantile> quantiles;  // at kQuantiles, linear interpolation; empty of nothing
};

// Sums in the order given.
Summary Summarize(std::span<const double> values);

}  // namespace dimwatch
