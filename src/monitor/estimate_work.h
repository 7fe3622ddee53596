// What an estimate costs, in the unit of Quota::compute_per_minute: points averaged over x points
// that each is compared with x components.
#pragma once

#include <cstdint>

#include "src/lid/settings.h"

namespace dimwatch {

struct EstimateWork {
  double queries = 0;           // points averaged over, or rows compared; 0: nothing is estimated
  double per_query = 0;         // points x dim
  bool can_be_sampled = false;  // fewer queries would do, with a larger error
};

// Of one estimate of a cloud of `rows` rows, as far as it is known before.
EstimateWork WorkOf(const EstimatorSettings& settings, std::int64_t rows, std::int64_t dim);

}  // namespace dimwatch
