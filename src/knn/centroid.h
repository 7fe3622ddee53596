// The mean of a cloud.
#pragma once

#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"

namespace dimwatch {

// The mean of each component over the points, summed in float64 in a fixed order; zeros for no
// point. The result does not depend on the number of threads. O(points x dim).
std::vector<float> Centroid(const CloudRows& rows, ThreadPool& pool);

}  // namespace dimwatch
