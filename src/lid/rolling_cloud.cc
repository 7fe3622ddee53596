#include "src/lid/rolling_cloud.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "absl/time/time.h"
#include "src/knn/cloud_rows.h"
#include "src/lid/neighbor_search.h"
#include "src/lid/pointwise.h"
#include "src/lid/prepare_cloud.h"

namespace dimwatch {
namespace {

constexpr std::size_t kChunkPoints = 64;
constexpr std::uint32_t kNew = std::uint32_t{1} << 31;

bool IsLocal(Estimator estimator) {
  return estimator != Estimator::kTwoNnGlobal && estimator != Estimator::kGride;
}

}  // namespace

std::int64_t RollingCloudBytes(const EstimatorSettings& settings, std::size_t rows,
                               std::size_t dim) {
  // Measured, with what vectors have in reserve: lists half as long again, who is near whom,
  // ratios.
  constexpr std::size_t kPoint = 2000, kNeighbor = 56, kRows = 2;  // as they are, and centered
  constexpr double kReserve = 1.25;
  const std::size_t components = kRows * dim * sizeof(float);
  const double row = kReserve * static_cast<double>(components) +
                     static_cast<double>(kPoint + kNeighbor * ListLength(settings));
  return static_cast<std::int64_t>(row * static_cast<double>(rows));
}

RollingCloud::RollingCloud(const EstimatorSettings& settings, std::size_t dim)
    : settings_(settings),
      neighbors_(dim, ListLength(settings),
                 RankedEntries(settings.estimator, ListLength(settings))) {
  if (settings.estimator == Estimator::kTwoNn) twonn_.emplace(settings, neighbors_);
}

void RollingCloud::Update(std::size_t oldest, std::size_t newest, PointCloudView rows,
                          ThreadPool& pool) {
  std::vector<std::uint32_t> gone;
  for (; oldest > 0; --oldest) {
    Release(rows_.front(), gone);
    rows_.pop_front();
  }
  for (; newest > 0; --newest) {
    Release(rows_.back(), gone);
    rows_.pop_back();
  }
  // Points that are not among those held are numbered from kNew until they have slots.
  PointCloud added(rows.dim());
  std::vector<std::uint64_t> hashes;
  const auto row_of = [&](std::uint32_t point) -> std::span<const float> {
    if (point >= kNew) return added.view().row(point - kNew);
    return {neighbors_.points().row(point), rows.dim()};
  };
  const std::size_t first_row = rows_.size();
  for (std::size_t i = 0; i < rows.points(); ++i) {
    const std::span<const float> row = rows.row(i);
    const std::optional<std::uint64_t> hash = HashRow(row);
    rows_.push_back(kNotFinite);
    if (!hash) {
      ++nonfinite_rows_;
      continue;
    }
    const auto [begin, end] = points_by_hash_.equal_range(*hash);
    const auto equal = std::find_if(begin, end, [&](const auto& entry) {
      return std::ranges::equal(row_of(entry.second), row);
    });
    if (equal != end) {
      rows_.back() = equal->second;
      if (equal->second < kNew) ++copies_[equal->second];
      continue;
    }
    rows_.back() = kNew + static_cast<std::uint32_t>(hashes.size());
    points_by_hash_.emplace(*hash, rows_.back());
    added.data().insert(added.data().end(), row.begin(), row.end());
    hashes.push_back(*hash);
  }
  std::erase_if(gone, [&](std::uint32_t point) { return copies_[point] > 0; });
  for (const std::uint32_t point : gone) {
    ForgetHash(neighbors_.points().precedence(point), point);
  }
  const RollingNeighbors::Change change = neighbors_.Update(gone, added.view(), hashes, pool);
  rebuilt_lists_ += change.rebuilt;
  if (twonn_) twonn_->Update(change, pool);
  copies_.resize(neighbors_.points().slots());
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    ForgetHash(hashes[i], kNew + static_cast<std::uint32_t>(i));
    points_by_hash_.emplace(hashes[i], change.added[i]);
  }
  for (auto row = rows_.begin() + static_cast<std::ptrdiff_t>(first_row); row != rows_.end();
       ++row) {
    if (*row == kNotFinite || *row < kNew) continue;
    *row = change.added[*row - kNew];
    ++copies_[*row];
  }
}

void RollingCloud::Release(std::uint32_t point, std::vector<std::uint32_t>& gone) {
  if (point == kNotFinite) {
    --nonfinite_rows_;
  } else if (--copies_[point] == 0) {
    gone.push_back(point);
  }
}

void RollingCloud::ForgetHash(std::uint64_t hash, std::uint32_t point) {
  const auto [begin, end] = points_by_hash_.equal_range(hash);
  points_by_hash_.erase(
      std::find_if(begin, end, [&](const auto& entry) { return entry.second == point; }));
}

std::vector<std::uint32_t> RollingCloud::PointsInOrder() const {
  std::vector<std::uint32_t> points;
  for (std::uint32_t slot = 0; slot < neighbors_.points().slots(); ++slot) {
    if (neighbors_.holds(slot)) points.push_back(slot);
  }
  std::ranges::sort(points, {},
                    [&](std::uint32_t slot) { return neighbors_.points().precedence(slot); });
  return points;
}

NeighborLists RollingCloud::ListsOf(const std::vector<std::uint32_t>& points,
                                    ThreadPool& pool) const {
  const std::size_t neighbors = ListLength(settings_);
  const std::size_t ranked = RankedEntries(settings_.estimator, neighbors);
  NeighborLists result(points.size(), neighbors, ranked);
  std::vector<std::uint32_t> index(neighbors_.points().slots());
  for (std::uint32_t i = 0; i < points.size(); ++i) index[points[i]] = i;
  const RollingLists& lists = neighbors_.lists();
  pool.ParallelFor((points.size() + kChunkPoints - 1) / kChunkPoints, [&](std::size_t chunk) {
    const std::size_t end = std::min(points.size(), (chunk + 1) * kChunkPoints);
    for (std::size_t i = chunk * kChunkPoints; i < end; ++i) {
      for (std::size_t j = 0; j < neighbors; ++j) {
        result.ids(i)[j] = index[lists.id(points[i], j)];
      }
      for (std::size_t j = 0; j < ranked; ++j) {
        result.distances(i)[j] = std::sqrt(lists.square(points[i], j));
      }
      for (std::size_t j = ranked; j < neighbors; ++j) {
        result.rough_squares(i)[j - ranked] = lists.square(points[i], j);
      }
      result.set_slack(i, lists.list(points[i]).slack);
    }
  });
  return result;
}

std::optional<double> RollingCloud::MeanLid() const {
  if (!twonn_ || neighbors_.size() <= ListLength(settings_)) return std::nullopt;
  return twonn_->MeanLid();
}

CloudEstimate RollingCloud::Estimate(ThreadPool& pool, const Clock& clock) {
  const absl::Duration start = clock.Monotonic();
  const std::vector<std::uint32_t> points = PointsInOrder();
  const CloudRows cloud(neighbors_.points().rows(), points);
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const auto distinct = static_cast<std::int64_t>(points.size());
  CloudEstimate estimate;
  estimate.settings = settings_;
  estimate.settings.index = IndexKind::kExact;
  estimate.rows = rows;
  estimate.nonfinite_rows = nonfinite_rows_;
  estimate.duplicate_rows = rows - nonfinite_rows_ - distinct;
  estimate.points = distinct;
  estimate.variance = Variance(cloud, pool);
  estimate.enough_points = points.size() > ListLength(settings_);
  if (estimate.enough_points) {
    NeighborLists lists = ListsOf(points, pool);
    PointwiseDimensions local;
    if (twonn_) {
      local = twonn_->Pointwise(points, pool);
    } else if (IsLocal(settings_.estimator)) {
      std::vector<std::uint32_t> all(points.size());
      std::iota(all.begin(), all.end(), 0u);
      local = EstimatePointwise(cloud, lists, all, settings_, pool);
    }
    EstimateFromLists(std::move(lists), std::move(local), estimate);
  }
  estimate.seconds = absl::ToDoubleSeconds(clock.Monotonic() - start);
  return estimate;
}

std::int64_t RollingCloud::bytes() const {
  constexpr std::size_t kHashEntry = 48;  // with the allocator's share
  return neighbors_.bytes() + (twonn_ ? twonn_->bytes() : 0) +
         static_cast<std::int64_t>((rows_.size() + copies_.capacity()) * sizeof(std::uint32_t) +
                                   points_by_hash_.size() * kHashEntry);
}

}  // namespace dimwatch
