// Searches as tests ask for them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "src/base/point_cloud.h"
#include "src/knn/neighbor_engine.h"

namespace dimwatch::testing {

std::vector<std::uint32_t> AllPoints(std::size_t points);

NeighborLists SearchAll(const NeighborEngine& engine, const PointCloud& cloud,
                        std::size_t neighbors, std::size_t threads = 0);

// Every pair by SquaredDistance, all entries ranked: the oracle.
NeighborLists BruteForce(const PointCloud& cloud, std::size_t neighbors);

// Of lists whose entries are all ranked: compares ids and distances bit for bit, and says where
// they differ.
::testing::AssertionResult SameLists(const NeighborLists& got, const NeighborLists& expected);

}  // namespace dimwatch::testing
