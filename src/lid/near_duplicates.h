// Points so near to another one that they stand for the same input: copies with rounding noise.
// They ruin ratios of distances: 2 % of rows perturbed by 1e-6 lower the mean local TwoNN by a
// tenth.
#pragma once

#include <cstdint>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/neighbor_lists.h"
#include "src/lid/prepare_cloud.h"
#include "src/lid/settings.h"

namespace dimwatch {

// A near-duplicate is nearer to its nearest neighbor than this share of the median distance to the
// nearest neighbor. Of independent points in dimension d about a share of 0.01^d is.
inline constexpr double kNearDuplicateShare = 0.01;

// How many of the queries are near-duplicates. As long as most points have a neighbor of their
// own: the median is what they are measured by.
std::int64_t CountNearDuplicates(const NeighborLists& lists);

// Drops points until none is within settings.duplicate_tolerance, times the median distance to the
// nearest neighbor of the cloud as it comes, of another: of a pair the later goes, counted among
// duplicate_rows. `cloud` refers to `rows`. So what stays depends on the points and their order
// only. Takes a search of all points, and two more where there is something to drop. REQUIRES:
// duplicate_tolerance > 0.
PreparedCloud DropNearDuplicates(PreparedCloud cloud, PointCloudView rows,
                                 const EstimatorSettings& settings, ThreadPool& pool);

}  // namespace dimwatch
