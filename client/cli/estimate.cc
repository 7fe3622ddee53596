// dimwatch estimate: the intrinsic dimension of one .npy file.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/command.h"
#include "client/cli/estimator_flags.h"
#include "client/cli/json.h"
#include "client/cli/scale_text.h"
#include "client/cli/system_clock.h"
#include "client/cli/text.h"
#include "src/base/npy.h"
#include "src/lid/cloud_estimate.h"
#include "src/lid/queries.h"
#include "src/lid/scale_profile.h"

namespace dimwatch::cli {
namespace {

struct Options {
  std::string file;
  EstimatorFlags estimator;
  std::string pointwise;
  int threads = 0;
  bool scale = false;
  bool json = false;
};

// Measured where the choice of an engine may depend on it.
EngineCosts CostsFor(const EstimatorSettings& settings, PointCloudView rows) {
  const auto points = static_cast<std::size_t>(
      std::min<std::int64_t>(settings.max_points, static_cast<std::int64_t>(rows.points())));
  const bool close = settings.index == IndexKind::kAuto &&
                     IsCloseCall({}, points, FirstQueries(points, settings), rows.dim(),
                                 static_cast<std::size_t>(settings.neighbors));
  return close ? MeasureEngineCosts(ThreadClock()) : EngineCosts();
}

// One value per row of the file; NaN for rows without a LID.
absl::Status WritePointwise(const std::string& file, std::size_t rows, const PointwiseLid& lid) {
  std::vector<double> values(rows, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < lid.row.size(); ++i) {
    if (lid.lid[i].has_value()) values[lid.row[i]] = *lid.lid[i];
  }
  return WriteNpy(file, values);
}

// Says so where the error that --target-se asked for was out of reach.
void PrintMissedTarget(const CloudEstimate& estimate) {
  const double target = estimate.settings.target_standard_error;
  if (target == 0 || !estimate.standard_error || !estimate.mean) return;
  const double reached = *estimate.standard_error / *estimate.mean;
  if (reached <= target) return;
  std::printf(
      "target    missed: %.3g %% instead of %.3g %% of the mean. Another draw of %lld points would "
      "differ by more: no choice of queries helps, only more points\n",
      100 * reached, 100 * target, static_cast<long long>(estimate.points));
}

void Print(const CloudEstimate& estimate) {
  const EstimatorSettings& settings = estimate.settings;
  std::printf("mean LID  %s\n", MeanText(estimate.mean, estimate.standard_error).c_str());
  if (estimate.harmonic_mean.has_value()) {
    std::printf("harmonic  %s\n",
                MeanText(estimate.harmonic_mean, estimate.harmonic_mean_standard_error).c_str());
  }
  if (estimate.std.has_value()) std::printf("std       %.4g over the points\n", *estimate.std);
  if (!estimate.quantiles.empty()) {
    std::printf("quantiles");
    for (const Quantile& q : estimate.quantiles) {
      std::printf("  %g%%: %.4g", 100 * q.quantile, q.value);
    }
    std::printf("\n");
  }
  std::printf("points    n = %lld", static_cast<long long>(estimate.points));
  if (estimate.queries != estimate.points) {
    std::printf(", averaged over %lld", static_cast<long long>(estimate.queries));
  }
  std::printf(
      "; of %lld rows %lld equal to another, %lld not finite; %lld points without a LID, %lld very "
      "near another\n",
      static_cast<long long>(estimate.rows), static_cast<long long>(estimate.duplicate_rows),
      static_cast<long long>(estimate.nonfinite_rows), static_cast<long long>(estimate.invalid),
      static_cast<long long>(estimate.near_duplicates));
  if (estimate.bias_bound > 0) {
    std::printf(
        "bias      up to %.2g %% too low: the index found %.4g (%.4g at least) of the neighbors\n",
        100 * estimate.bias_bound, estimate.recall, estimate.recall_low);
  }
  std::printf("settings  %s, L = %d, cdf %s, fit %s, index %s, seed %lld\n",
              std::string(Name(settings.estimator)).c_str(), settings.neighbors,
              std::string(Name(settings.cdf)).c_str(), std::string(Name(settings.fit)).c_str(),
              std::string(Name(settings.index)).c_str(), static_cast<long long>(settings.seed));
  if (!estimate.engine_reason.empty()) {
    std::printf("engine    %s\n", estimate.engine_reason.c_str());
  }
  PrintMissedTarget(estimate);
  std::printf("time      %.3g s\n", estimate.seconds);
}

absl::Status RunEstimate(const Options& options) {
  EstimatorSettings settings;
  if (const absl::Status status = options.estimator.Apply(settings); !status.ok()) return status;
  const absl::StatusOr<PointCloud> cloud = ReadNpy(options.file);
  if (!cloud.ok()) return cloud.status();

  ThreadPool pool(ComputeThreads(options.threads) - 1);  // the calling thread works too
  PointwiseLid pointwise;
  const SystemClock clock;
  const absl::StatusOr<CloudEstimate> estimate = EstimateCloud(
      cloud->view(), settings, pool, clock, options.pointwise.empty() ? nullptr : &pointwise,
      {.costs = CostsFor(settings, cloud->view()), .make_index = nullptr});
  if (!estimate.ok()) return estimate.status();
  if (!estimate->mean.has_value() && !estimate->enough_points) {
    return absl::FailedPreconditionError(
        options.file + ": " + std::to_string(estimate->points) + " distinct finite points of " +
        std::to_string(estimate->rows) + " rows are too few for neighborhoods of " +
        std::to_string(settings.neighbors) + "; use a smaller --neighbors");
  }
  if (!options.pointwise.empty()) {
    const absl::Status status = WritePointwise(options.pointwise, cloud->points(), pointwise);
    if (!status.ok()) return status;
  }
  std::optional<ScaleProfile> profile;
  if (options.scale) profile = ProfileScale(cloud->view(), settings, pool);
  if (options.json) {
    Json json = ToJson(*estimate);
    if (profile) json["scale_profile"] = ToJson(*profile);
    std::printf("%s\n", json.dump().c_str());
  } else {
    Print(*estimate);
    if (profile) std::printf("\n%s", ScaleText(*profile, StdoutIsColored()).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddEstimateCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("estimate", "Estimate the intrinsic dimension of the rows of a .npy file");
  command->add_option("file", options->file, "rows x components; float16, float32 or float64")
      ->required();
  options->estimator.AddTo(*command);
  command->add_option("--pointwise", options->pointwise,
                      "write the LID of every row here, as .npy; NaN where there is none");
  command->add_flag("--scale", options->scale,
                    "also the dimension at all scales: Gride, and TwoNN of subsamples");
  command->add_option("--threads", options->threads, "default: all")->check(CLI::PositiveNumber);
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return RunEstimate(*options); }; });
}

}  // namespace dimwatch::cli
