// The dimension of a cloud as a function of scale: noise is seen from near, the manifold from
// afar, curvature and clusters from farther still. A dimension that holds over a range of scales
// can be believed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/lid/settings.h"

namespace dimwatch {

// A profile is computed from so many points at most, and looks at so many neighbors of each.
inline constexpr std::int64_t kMaxScalePoints = 20'000;
inline constexpr int kMaxScaleNeighbors = 256;
// No subsample is smaller, but the whole of a small cloud.
inline constexpr std::int64_t kMinScaleSubsample = 64;

// One point of a curve.
struct ScalePoint {
  std::int64_t neighbors = 0;            // Gride's 2 n1, the farther of the two ranks; 2 for TwoNN
  std::int64_t parts = 1;                // into so many disjoint subsamples the cloud was split
  std::int64_t points = 0;               // in the smallest of them
  double distance = 0;                   // the scale: mean distance of the two neighbors looked at
  std::optional<double> dimension;       // mean over the parts; none where a part has none
  std::optional<double> standard_error;  // for a new draw of the cloud
  friend bool operator==(const ScalePoint&, const ScalePoint&) = default;
};

struct ScaleProfile {
  // Gride (gride.h) on the whole cloud, n1 = 1, 2, 4, ... up to kMaxScaleNeighbors / 2: by rising
  // scale. Empty below three points.
  std::vector<ScalePoint> gride;
  // Global TwoNN (twonn.h) of subsamples of N, N / 2, N / 4, ... points, as in Facco et al. 2017
  // and DADApy's return_id_scaling_2NN, but with disjoint subsamples. By maximum likelihood,
  // whatever the settings: least squares has a bias that grows as subsamples shrink.
  std::vector<ScalePoint> twonn;
  friend bool operator==(const ScaleProfile&, const ScaleProfile&) = default;
};

// The profile of the points that an estimate with `settings` uses, or of kMaxScalePoints of them.
// One exact search; subsamples reuse its lists. Runs on `pool` and the calling thread; the result
// does not depend on the number of threads. REQUIRES: what EstimateCloud does not refuse.
ScaleProfile ProfileScale(PointCloudView rows, const EstimatorSettings& settings, ThreadPool& pool);

}  // namespace dimwatch
