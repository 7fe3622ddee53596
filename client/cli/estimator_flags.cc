#include "client/cli/estimator_flags.h"

#include <algorithm>
#include <thread>

namespace dimwatch::cli {
namespace {

template <typename Value>
absl::Status Assign(const std::optional<std::string>& name,
                    absl::StatusOr<Value> (*parse)(std::string_view), Value& value) {
  if (!name.has_value()) return absl::OkStatus();
  const absl::StatusOr<Value> parsed = parse(*name);
  if (parsed.ok()) value = *parsed;
  return parsed.status();
}

}  // namespace

void EstimatorFlags::AddTo(CLI::App& command) {
  command.add_option("--estimator", estimator_, "twonn (default), twonn-global, mle, mom or gride");
  command.add_option("--neighbors", neighbors_, "L, the points of a neighborhood (default 128)");
  command.add_option("--cdf", cdf_, "paper (default) or upper: what TwoNN fits");
  command.add_option("--fit", fit_, "ols (default) or ml: how TwoNN fits");
  command.add_option("--index", index_, "auto (default), exact or hnsw");
  CLI::Option* queries = command.add_option("--queries", queries_,
                                            "average over so many random points (default: all)");
  command
      .add_option("--target-se", target_se_,
                  "average over as many random points as take the standard error to this share of "
                  "the mean, such as 0.005")
      ->excludes(queries);
  command.add_option("--max-points", max_points_,
                     "subsample to so many distinct points (default 10000)");
  command.add_option("--seed", seed_, "seed of every random choice (default 0)");
  command.add_option("--duplicate-tolerance", duplicate_tolerance_,
                     "drop points nearer to another than this share of the median distance to the "
                     "nearest neighbor (default 0: only equal ones)");
}

absl::Status EstimatorFlags::Apply(EstimatorSettings& settings) const {
  absl::Status status = Assign(estimator_, ParseEstimator, settings.estimator);
  if (status.ok()) status = Assign(cdf_, ParseCdf, settings.cdf);
  if (status.ok()) status = Assign(fit_, ParseFit, settings.fit);
  if (status.ok()) status = Assign(index_, ParseIndexKind, settings.index);
  settings.neighbors = neighbors_.value_or(settings.neighbors);
  settings.queries = queries_.value_or(settings.queries);
  settings.target_standard_error = target_se_.value_or(settings.target_standard_error);
  settings.max_points = max_points_.value_or(settings.max_points);
  settings.seed = seed_.value_or(settings.seed);
  settings.duplicate_tolerance = duplicate_tolerance_.value_or(settings.duplicate_tolerance);
  return status;
}

std::size_t ComputeThreads(int requested) {
  if (requested > 0) return static_cast<std::size_t>(requested);
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace dimwatch::cli
