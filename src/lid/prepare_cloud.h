// From rows as they come to the points that are estimated: reject, deduplicate, subsample.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"

namespace dimwatch {

struct PreparedCloud {
  // What remained, refers to the cloud. In an order that follows from the rows' contents: what is
  // computed from it does not depend on the order of the rows.
  CloudRows rows;
  std::vector<std::uint64_t> keys;  // what random choices among these points go by
  std::int64_t nonfinite_rows = 0;
  std::int64_t duplicate_rows = 0;
};

// In this order (Ruppik et al. 2025): drops rows with a NaN or an infinity; of rows that are equal
// in every component keeps the first (-0 equals 0); keeps `max_points` of what is left by
// ChooseUniformly. Random choices go by `row_ids`, one for each row, so that they hit the same
// inputs at every step; by the rows' contents where it is empty. Does not depend on the number of
// threads. O(rows x dim).
PreparedCloud PrepareCloud(PointCloudView cloud, std::span<const std::int64_t> row_ids,
                           std::int64_t max_points, std::int64_t seed, ThreadPool& pool);

// Equal rows have equal hashes (-0 equals 0). None for a row with a NaN or an infinity.
std::optional<std::uint64_t> HashRow(std::span<const float> row);

// Mean squared Euclidean distance of the points to their centroid; 0 for no point.
double Variance(const CloudRows& rows, ThreadPool& pool);

}  // namespace dimwatch
