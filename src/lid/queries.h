// Which points an estimate averages over, and how many of them are enough.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/lid/settings.h"
#include "src/lid/standard_error.h"

namespace dimwatch {

// The first `count` of all points in a random order that the seed gives, ascending: fewer queries
// are among more. `keys`: PreparedCloud::keys.
std::vector<std::uint32_t> ChooseQueries(std::span<const std::uint64_t> keys, std::size_t count,
                                         std::int64_t seed);

// How many queries to begin with: settings.queries, or a first batch if there is a target.
std::size_t FirstQueries(std::size_t points, const EstimatorSettings& settings);

// How many queries to go on with after so many that gave `mean` with `error`: `queries` itself
// where these are enough. The target speaks of the whole standard error, for a new draw of the
// cloud, as that is what an estimate states. Where the cloud's own part is above the target alone,
// no choice of queries meets it: then these are enough as soon as they add no more than an eighth
// to the error. Half of the points cost as much as all.
std::size_t EnoughQueries(std::size_t points, std::size_t queries, double mean,
                          const EstimateError& error, double target);

}  // namespace dimwatch
