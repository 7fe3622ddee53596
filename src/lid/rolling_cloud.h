// The rows of a rolling window, with their neighbor lists kept current.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "src/base/clock.h"
#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/rolling_neighbors.h"
#include "src/lid/cloud_estimate.h"
#include "src/lid/rolling_twonn.h"
#include "src/lid/settings.h"

namespace dimwatch {

// What a RollingCloud of so many rows takes, about.
std::int64_t RollingCloudBytes(const EstimatorSettings& settings, std::size_t rows,
                               std::size_t dim);

// A queue of rows that may lose some at both ends. Not thread-safe.
class RollingCloud {
 public:
  // REQUIRES: valid settings; dim > 0.
  RollingCloud(const EstimatorSettings& settings, std::size_t dim);

  // Drops the oldest and the newest rows, then adds `rows` as the newest ones; they may hold NaN,
  // infinities and duplicates. One product of rows x points. REQUIRES: no more dropped than held.
  void Update(std::size_t oldest, std::size_t newest, PointCloudView rows, ThreadPool& pool);

  std::size_t rows() const { return rows_.size(); }
  // How many neighbor lists were made anew since the beginning because too many points had left.
  std::size_t rebuilt_lists() const { return rebuilt_lists_; }
  // Of kTwoNn: the mean over all points, kept current by updates, in O(points); none where none is
  // valid or there are too few.
  std::optional<double> MeanLid() const;
  // Equal to EstimateCloud of the rows, but for `seconds`, which does not count the updates.
  CloudEstimate Estimate(ThreadPool& pool, const Clock& clock);

  std::int64_t bytes() const;

 private:
  static constexpr std::uint32_t kNotFinite = ~std::uint32_t{0};

  // Takes a row out of the queue; if no other equals it, appends its point to `gone`.
  void Release(std::uint32_t point, std::vector<std::uint32_t>& gone);
  void ForgetHash(std::uint64_t hash, std::uint32_t point);
  // By hash, as PrepareCloud orders them.
  std::vector<std::uint32_t> PointsInOrder() const;
  // Of `points`, which the lists name by their positions.
  NeighborLists ListsOf(const std::vector<std::uint32_t>& points, ThreadPool& pool) const;

  const EstimatorSettings settings_;
  RollingNeighbors neighbors_;
  std::optional<RollingTwoNn> twonn_;  // where this is the estimator
  std::deque<std::uint32_t> rows_;     // the point of each row, oldest first; or kNotFinite
  std::vector<std::uint32_t> copies_;  // by point: rows that equal it
  std::unordered_multimap<std::uint64_t, std::uint32_t> points_by_hash_;
  std::int64_t nonfinite_rows_ = 0;
  std::size_t rebuilt_lists_ = 0;
};

}  // namespace dimwatch
