// One dimension for the whole cloud, from one ratio of distances at each query.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "src/knn/neighbor_lists.h"
#include "src/lid/settings.h"
#include "src/lid/standard_error.h"

namespace dimwatch {

struct GlobalDimension {
  std::optional<double> dimension;
  std::optional<EstimateError> error;  // none below two ratios
  std::int64_t invalid = 0;            // queries whose ratio is not finite; left out

  std::optional<double> standard_error() const {
    return error ? std::optional(error->standard_error) : std::nullopt;
  }
};

// kTwoNnGlobal: FitTwoNn of r2 / r1. kGride: FitGride of r_{2 n1} / r_{n1} with n1 half of
// settings.neighbors, rounded down. `lists` belong to `queries`, ascending, out of `points`.
// REQUIRES: settings.estimator is one of the two; lists of 2, or of settings.neighbors.
GlobalDimension EstimateGlobal(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                               std::size_t points, const EstimatorSettings& settings);

}  // namespace dimwatch
