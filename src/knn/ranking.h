// Turning sets of candidates into neighbor lists.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/knn/cloud_rows.h"

namespace dimwatch {

// Candidates with their distances: the bits of a non-negative float above an id, so that the order
// of integers is the order by (SquaredDistance, id).
using RankingKeys = std::vector<std::uint64_t>;

// Measures `ids` from `point`, which is passed over.
RankingKeys Measure(const CloudRows& cloud, std::uint32_t point,
                    std::span<const std::uint32_t> ids);

// The same for several points at once, in an order that reads the row of every candidate once.
std::vector<RankingKeys> MeasureTogether(const CloudRows& cloud,
                                         std::span<const std::uint32_t> points,
                                         std::span<const std::span<const std::uint32_t>> ids);

// Fills a list with the smallest keys, in order, and returns the squared distance of the last.
// REQUIRES: as many keys at least.
float TakeNearest(RankingKeys& keys, std::span<std::uint32_t> list_ids,
                  std::span<float> list_distances);

}  // namespace dimwatch
