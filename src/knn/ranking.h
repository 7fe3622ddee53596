// Turning a set of candidates into a neighbor list.
#pragma once

#include <cstdint>
#include <span>

#include "src/knn/cloud_rows.h"

namespace dimwatch {

// Fills a list with the nearest of `ids` to `point`, by (SquaredDistance, id), and returns the
// squared distance of the last. `point` itself is passed over. REQUIRES: enough other ids, each
// once.
float RankNeighbors(const CloudRows& cloud, std::uint32_t point, std::span<const std::uint32_t> ids,
                    std::span<std::uint32_t> list_ids, std::span<float> list_distances);

}  // namespace dimwatch
