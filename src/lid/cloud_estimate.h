// The intrinsic dimension of one cloud, with what is needed to judge it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/neighbor_lists.h"
#include "src/lid/neighbor_search.h"
#include "src/lid/pointwise.h"
#include "src/lid/settings.h"

namespace dimwatch {

struct Quantile {
  double quantile = 0;  // 0 to 1
  double value = 0;
  friend bool operator==(const Quantile&, const Quantile&) = default;
};
inline constexpr std::array<double, 5> kQuantiles = {0.05, 0.25, 0.5, 0.75, 0.95};

struct CloudEstimate {
  EstimatorSettings settings;  // `index` is the engine that was used, never kAuto

  std::optional<double> mean;            // none where no point has a valid LID
  std::optional<double> std;             // spread of the pointwise LID, ddof 1; none below 2 points
  std::optional<double> standard_error;  // of `mean`, for a new draw of the cloud
  // 1 / (mean of 1 / LID_i) and its error: of kMle only, whose ratios average so without bias
  // (MacKay & Ghahramani 2005).
  std::optional<double> harmonic_mean;
  std::optional<double> harmonic_mean_standard_error;
  std::vector<Quantile> quantiles;  // at kQuantiles, linear interpolation; empty without a mean

  std::int64_t rows = 0;             // as given
  std::int64_t nonfinite_rows = 0;   // dropped first
  std::int64_t duplicate_rows = 0;   // dropped next, first kept
  std::int64_t points = 0;           // what remained, after subsampling to max_points
  std::int64_t queries = 0;          // points averaged over
  std::int64_t invalid = 0;          // of the queries: those without a LID
  std::int64_t near_duplicates = 0;  // of the queries (near_duplicates.h)
  double variance = 0;    // mean squared Euclidean distance of the points to their centroid
  double recall = 1;      // measured share of true neighbors found; 1 for exact
  double recall_low = 1;  // lower end of its 95 % interval
  // Neighbors missed lower the mean: with all of them it would be higher by at most this share of
  // it (neighbor_search.h). Apart from standard_error, which knows nothing of it. 0 for exact.
  double bias_bound = 0;
  std::string engine_reason;  // why settings.index, in one sentence; empty: as asked for
  double seconds = 0;         // compute time

  // False where points <= neighbors: too few for the neighborhoods asked for. No mean then.
  bool enough_points = true;
  // False where so many neighbors were missed that the mean is not to be trusted; engine_reason
  // says how many.
  bool enough_recall = true;
};

// What one estimate of a local estimator says of its rows.
struct PointwiseLid {
  std::vector<std::size_t> row;            // index of the query among the rows as given, ascending
  std::vector<std::optional<double>> lid;  // none: invalid
  // By how much the mean moves when a point weighs more (standard_error.h), for all points of the
  // cloud; empty without a standard error.
  std::vector<std::size_t> shift_row;  // index of the point among the rows as given, ascending
  std::vector<double> shift;
};

// Estimates the intrinsic dimension of `rows` (n x d; may hold NaN, infinities and duplicates).
// Runs on `pool` and the calling thread; the result depends neither on the number of threads nor on
// the order of the rows. Fills `pointwise` if it is not null. From the same `engines` the same
// result. `row_ids`, one for each row or none: what random choices go by (prepare_cloud.h).
// INVALID_ARGUMENT for bad settings or d = 0; too few points are not an error but a result without
// a mean. Thread-safe.
absl::StatusOr<CloudEstimate> EstimateCloud(PointCloudView rows, const EstimatorSettings& settings,
                                            ThreadPool& pool, const Clock& clock,
                                            PointwiseLid* pointwise = nullptr,
                                            const EngineOptions& engines = {},
                                            std::span<const std::int64_t> row_ids = {});

// The last part of it: fills the fields of `estimate` that follow from the lists of all points and,
// for a local estimator, from what EstimatePointwise makes of them.
// REQUIRES: the lists are those that the estimator of `estimate.settings` asks for.
void EstimateFromLists(NeighborLists lists, PointwiseDimensions local, CloudEstimate& estimate);

}  // namespace dimwatch
