#include "src/lid/cloud_estimate.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "src/lid/global.h"
#include "src/lid/near_duplicates.h"
#include "src/lid/neighbor_search.h"
#include "src/lid/pointwise.h"
#include "src/lid/prepare_cloud.h"
#include "src/lid/queries.h"
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

// What the search says of itself.
void DescribeSearch(const NeighborSearch& search, CloudEstimate& estimate) {
  const Recall recall = search.recall();
  estimate.settings.index = search.index();
  estimate.recall = recall.ratio;
  estimate.recall_low = recall.low;
  estimate.bias_bound = BiasPerMiss(estimate.settings.estimator) * (1 - recall.low);
  estimate.engine_reason = search.reason();
  estimate.enough_recall = search.trusted();
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
  const EstimateError error = ErrorOfMean(lists, queries, points, local);
  estimate.harmonic_mean_standard_error = error.standard_error / (*summary.mean * *summary.mean);
}

bool IsGlobal(Estimator estimator) {
  return estimator == Estimator::kTwoNnGlobal || estimator == Estimator::kGride;
}

// What is known of the queries asked so far.
struct Answers {
  std::vector<std::uint32_t> queries;  // ascending in each batch
  NeighborLists lists;
  PointwiseDimensions local;  // of local estimators
};

void Ask(const CloudRows& cloud, std::span<const std::uint32_t> queries,
         const EstimatorSettings& settings, NeighborSearch& search, ThreadPool& pool,
         Answers& answers) {
  NeighborLists lists = search.Find(queries);
  if (!IsGlobal(settings.estimator)) {
    answers.local.Append(EstimatePointwise(cloud, lists, queries, settings, pool));
  }
  answers.lists.Append(std::move(lists));
  answers.queries.insert(answers.queries.end(), queries.begin(), queries.end());
}

std::optional<EstimateError> AveragePointwise(std::size_t points, const Answers& answers,
                                              CloudEstimate& estimate) {
  std::vector<double> valid;
  valid.reserve(answers.local.lid.size());
  for (const std::optional<double>& lid : answers.local.lid) {
    if (lid) valid.push_back(*lid);
  }
  estimate.invalid = static_cast<std::int64_t>(answers.local.lid.size() - valid.size());
  Summary summary = Summarize(valid);
  estimate.mean = summary.mean;
  estimate.std = summary.std;
  estimate.quantiles = std::move(summary.quantiles);
  if (estimate.settings.estimator == Estimator::kMle) {
    AverageHarmonically(answers.lists, answers.queries, points, answers.local, estimate);
  }
  if (!estimate.std) return std::nullopt;
  return ErrorOfMean(answers.lists, answers.queries, points, answers.local);
}

std::optional<EstimateError> Conclude(std::size_t points, const Answers& answers,
                                      CloudEstimate& estimate) {
  estimate.queries = static_cast<std::int64_t>(answers.queries.size());
  estimate.near_duplicates = CountNearDuplicates(answers.lists);
  std::optional<EstimateError> error;
  if (IsGlobal(estimate.settings.estimator)) {
    GlobalDimension fit = EstimateGlobal(answers.lists, answers.queries, points, estimate.settings);
    estimate.mean = fit.dimension;
    estimate.invalid = fit.invalid;
    error = std::move(fit.error);
  } else {
    error = AveragePointwise(points, answers, estimate);
  }
  if (error) estimate.standard_error = error->standard_error;
  return error;
}

PointwiseLid Describe(const CloudRows& cloud, const Answers& answers,
                      const std::vector<double>& shifts) {
  const auto by_row = [&](std::size_t count, const auto& point_of) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return cloud.source(point_of(i)); });
    return order;
  };
  PointwiseLid result;
  const auto query = [&](std::size_t q) { return answers.queries[q]; };
  for (const std::size_t q : by_row(answers.queries.size(), query)) {
    result.row.push_back(cloud.source(query(q)));
    result.lid.push_back(answers.local.lid[q]);
  }
  for (const std::size_t point : by_row(shifts.size(), std::identity())) {
    result.shift_row.push_back(cloud.source(point));
    result.shift.push_back(shifts[point]);
  }
  return result;
}

// Asks more queries until they are enough.
void EstimatePoints(const PreparedCloud& prepared, const EstimatorSettings& settings,
                    const EngineOptions& engines, ThreadPool& pool, CloudEstimate& estimate,
                    PointwiseLid* pointwise) {
  const CloudRows& cloud = prepared.rows;
  const std::size_t points = cloud.points();
  NeighborSearch search(cloud, settings, FirstQueries(points, settings), engines, pool);
  Answers answers;
  std::optional<EstimateError> error;
  for (std::size_t asked = 0, enough = FirstQueries(points, settings); asked < enough;) {
    if (enough == points) {  // together they cost half as much
      answers = {};
      asked = 0;
    }
    std::vector<std::uint32_t> fresh;
    std::ranges::set_difference(ChooseQueries(prepared.keys, enough, settings.seed),
                                ChooseQueries(prepared.keys, asked, settings.seed),
                                std::back_inserter(fresh));
    Ask(cloud, fresh, settings, search, pool, answers);
    error = Conclude(points, answers, estimate);
    asked = enough;
    if (settings.target_standard_error == 0) continue;
    enough =
        error ? EnoughQueries(points, asked, *estimate.mean, *error, settings.target_standard_error)
              : points;
  }
  DescribeSearch(search, estimate);
  if (pointwise == nullptr || IsGlobal(settings.estimator)) return;
  *pointwise = Describe(cloud, answers, error ? error->shifts : std::vector<double>());
}

}  // namespace

void EstimateFromLists(NeighborLists lists, PointwiseDimensions local, CloudEstimate& estimate) {
  Answers answers{std::vector<std::uint32_t>(lists.queries()), std::move(lists), std::move(local)};
  std::iota(answers.queries.begin(), answers.queries.end(), 0u);
  Conclude(answers.queries.size(), answers, estimate);
}

absl::StatusOr<CloudEstimate> EstimateCloud(PointCloudView rows, const EstimatorSettings& settings,
                                            ThreadPool& pool, const Clock& clock,
                                            PointwiseLid* pointwise, const EngineOptions& engines,
                                            std::span<const std::int64_t> row_ids) {
  if (absl::Status status = Validate(settings); !status.ok()) return status;
  if (absl::Status status = ValidateShape(rows); !status.ok()) return status;
  const absl::Duration start = clock.Monotonic();
  if (pointwise != nullptr) *pointwise = {};
  PreparedCloud prepared = PrepareCloud(rows, row_ids, settings.max_points, settings.seed, pool);
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
  if (settings.index == IndexKind::kAuto) estimate.settings.index = IndexKind::kExact;
  const bool global = settings.estimator == Estimator::kTwoNnGlobal;
  estimate.enough_points = estimate.points > (global ? 2 : settings.neighbors);
  if (estimate.enough_points) {
    EstimatePoints(prepared, settings, engines, pool, estimate, pointwise);
  }
  estimate.seconds = absl::ToDoubleSeconds(clock.Monotonic() - start);
  return estimate;
}

}  // namespace dimwatch
