// From sets of candidates to neighbor lists.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/knn/cloud_rows.h"
#include "src/knn/neighbor_lists.h"

namespace dimwatch {

// Points with their squared distances: the bits of a non-negative float above an id, so that the
// order of integers is the order by (distance, id).
using RankingKeys = std::vector<std::uint64_t>;

std::uint64_t RankingKey(float squared_distance, std::uint32_t id);
float SquareOf(std::uint64_t key);

// Measures `ids` from `point`, which is passed over.
RankingKeys Measure(const CloudRows& cloud, std::uint32_t point,
                    std::span<const std::uint32_t> ids);

// Fills list `query` with the smallest of keys that were measured.
// REQUIRES: as many keys as neighbors at least.
void FillList(RankingKeys& keys, std::size_t query, NeighborLists& lists);

// Fills list `query`, of `point`, with the smallest of keys whose squares are rough, measuring no
// more than it has to. `slack`: how far a square may be from that by SquaredDistance; `bound`: no
// other point has a rough square below it. False, with nothing filled, if these do not tell what
// belongs to the list.
bool FillList(const CloudRows& cloud, std::uint32_t point, RankingKeys& keys, float slack,
              float bound, std::size_t query, NeighborLists& lists);

}  // namespace dimwatch
