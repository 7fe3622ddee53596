#include "src/lid/cloud_estimate.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "src/base/random_subset.h"
#include "src/knn/engine_choice.h"
#include "src/knn/exact.h"
#include "src/knn/hnsw.h"
#include "src/knn/recall.h"
#include "src/lid/global.h"
#include "src/lid/near_duplicates.h"
#include "src/lid/pointwise.h"
#include "src/lid/prepare_cloud.h"
#include "src/lid/standard_error.h"
#include "src/lid/summary.h"

namespace dimwatch {
namespace {

absl::Status ValidateShape(PointCloudView rows) {
  if (rows.dim() < 1 || rows.dim() > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("dimension: got ", rows.dim(), "; 1 to ", kMaxDim, " are allowed"));
  }
  if (rows.points() > std::numeric_limits<std::uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows: got ", rows.points(), "; fewer than 2^32 are allowed"));
  }
  return absl::OkStatus();
}

std::vector<std::uint32_t> ChooseQueries(std::size_t points, const EstimatorSettings& settings) {
  constexpr std::uint64_t kQueryStream = 0x9e3779b97f4a7c15;  // apart from the choice of points
  std::vector<std::uint32_t> all(points);
  std::iota(all.begin(), all.end(), 0u);
  if (settings.queries == 0) return all;
  return ChooseUniformly(std::move(all), static_cast<std::size_t>(settings.queries),
                         static_cast<std::uint64_t>(settings.seed) ^ kQueryStream);
}

// By the engine that the estimate names; measures the recall of an approximate one.
NeighborLists FindNeighbors(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                            std::size_t neighbors, ThreadPool& pool, CloudEstimate& estimate) {
  if (estimate.settings.index == IndexKind::kExact) {
    const std::size_t ranked = RankedEntries(estimate.settings.estimator, neighbors);
    return ExactEngine().Search(cloud, queries, neighbors, ranked, pool);
  }
  const auto seed = static_cast<std::uint64_t>(estimate.settings.seed);
  NeighborLists lists = HnswEngine(seed).Search(cloud, queries, neighbors, neighbors, pool);
  estimate.recall = MeasureRecall(cloud, queries, lists, seed, pool).ratio;
  return lists;
}

// Of the mean of the inverses, by the same influences.
void AverageHarmonically(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                         std::size_t points, PointwiseDimensions local, CloudEstimate& estimate) {
  std::vector<double> inverses;
  for (std::size_t q = 0; q < local.lid.size(); ++q) {
    if (!local.lid[q]) continue;
    const double inverse = 1 / *local.lid[q];
    local.lid[q] = inverse;
    inverses.push_back(inverse);
    for (std::size_t j = 0; j < lists.neighbors(); ++j) {
      local.influence[q * lists.neighbors() + j] *= static_cast<float>(-inverse * inverse);
    }
  }
  const Summary summary = Summarize(inverses);
  if (!summary.mean) return;
  estimate.harmonic_mean = 1 / *summary.mean;
  if (!summary.std) return;
  const double error =
      MeanStandardError(MeanShifts(lists, queries, points, local), *summary.std, inverses.size());
  estimate.harmonic_mean_standard_error = error / (*summary.mean * *summary.mean);
}

void AveragePointwise(const CloudRows& cloud, const NeighborLists& lists,
                      std::span<const std::uint32_t> queries, ThreadPool& pool,
                      CloudEstimate& estimate, PointwiseLid* pointwise) {
  PointwiseDimensions local = EstimatePointwise(cloud, lists, queries, estimate.settings, pool);
  std::vector<double> valid;
  valid.reserve(local.lid.size());
  for (const std::optional<double>& lid : local.lid) {
    if (lid) valid.push_back(*lid);
  }
  estimate.invalid = static_cast<std::int64_t>(local.lid.size() - valid.size());
  Summary summary = Summarize(valid);
  estimate.mean = summary.mean;
  estimate.std = summary.std;
  estimate.quantiles = std::move(summary.quantiles);
  std::vector<double> shifts;
  if (estimate.std) {
    shifts = MeanShifts(lists, queries, cloud.points(), local);
    estimate.standard_error = MeanStandardError(shifts, *estimate.std, valid.size());
  }
  if (estimate.settings.estimator == Estimator::kMle) {
    AverageHarmonically(lists, queries, cloud.points(), local, estimate);
  }
  if (pointwise == nullptr) return;
  for (const std::uint32_t query : queries) pointwise->row.push_back(cloud.source(query));
  pointwise->lid = std::move(local.lid);
  for (std::size_t point = 0; point < shifts.size(); ++point) {
    pointwise->shift_row.push_back(cloud.source(point));
  }
  pointwise->shift = std::move(shifts);
}

void EstimatePoints(const CloudRows& cloud, std::span<const std::uint32_t> queries,
                    ThreadPool& pool, CloudEstimate& estimate, PointwiseLid* pointwise) {
  const EstimatorSettings& settings = estimate.settings;
  const bool global = settings.estimator == Estimator::kTwoNnGlobal;
  const std::size_t neighbors = global ? 2 : static_cast<std::size_t>(settings.neighbors);
  const NeighborLists lists = FindNeighbors(cloud, queries, neighbors, pool, estimate);
  estimate.near_duplicates = CountNearDuplicates(lists);
  if (global || settings.estimator == Estimator::kGride) {
    const GlobalDimension global_fit = EstimateGlobal(lists, queries, cloud.points(), settings);
    estimate.mean = global_fit.dimension;
    estimate.standard_error = global_fit.standard_error;
    estimate.invalid = global_fit.invalid;
  } else {
    AveragePointwise(cloud, lists, queries, pool, estimate, pointwise);
  }
}

}  // namespace

absl::StatusOr<CloudEstimate> EstimateCloud(PointCloudView rows, const EstimatorSettings& settings,
                                            ThreadPool& pool, const Clock& clock,
                                            PointwiseLid* pointwise) {
  if (absl::Status status = Validate(settings); !status.ok()) return status;
  if (absl::Status status = ValidateShape(rows); !status.ok()) return status;
  const absl::Duration start = clock.Monotonic();
  if (pointwise != nullptr) *pointwise = {};
  PreparedCloud prepared = PrepareCloud(rows, settings.max_points, settings.seed, pool);
  if (settings.duplicate_tolerance > 0) {
    prepared = DropNearDuplicates(std::move(prepared), rows, settings, pool);
  }
  CloudEstimate estimate;
  estimate.settings = settings;
  estimate.rows = static_cast<std::int64_t>(rows.points());
  estimate.nonfinite_rows = prepared.nonfinite_rows;
  estimate.duplicate_rows = prepared.duplicate_rows;
  estimate.points = static_cast<std::int64_t>(prepared.rows.points());
  estimate.variance = Variance(prepared.rows, pool);
  const std::vector<std::uint32_t> queries = ChooseQueries(prepared.rows.points(), settings);
  if (settings.index == IndexKind::kAuto) {
    const bool exact = ExactIsCheaper(prepared.rows.points(), queries.size());
    estimate.settings.index = exact ? IndexKind::kExact : IndexKind::kHnsw;
  }
  const bool global = settings.estimator == Estimator::kTwoNnGlobal;
  estimate.enough_points = estimate.points > (global ? 2 : settings.neighbors);
  if (estimate.enough_points) {
    estimate.queries = static_cast<std::int64_t>(queries.size());
    EstimatePoints(prepared.rows, queries, pool, estimate, pointwise);
  }
  estimate.seconds = absl::ToDoubleSeconds(clock.Monotonic() - start);
  return estimate;
}

}  // namespace dimwatch
