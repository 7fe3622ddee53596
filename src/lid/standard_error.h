// How far the mean LID of a cloud lies from that of another draw of the cloud.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "src/knn/neighbor_lists.h"
#include "src/lid/pointwise.h"

namespace dimwatch {

// The standard error of the arithmetic mean of the valid lid. Neighborhoods overlap, so the
// pointwise values are far from independent and their spread says little about their mean; the
// points are independent. By the infinitesimal jackknife the mean moves, when point a weighs more,
// by g_a = the sum of a's influence on every neighborhood that holds it, and the error is the root
// of sum g_a^2. None below two valid queries.
std::optional<double> MeanStandardError(const NeighborLists& lists,
                                        std::span<const std::uint32_t> queries, std::size_t points,
                                        const PointwiseDimensions& pointwise, double mean);

}  // namespace dimwatch
