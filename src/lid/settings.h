// What is computed from a cloud. The same settings and rows always give the same numbers.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dimwatch {

enum class Estimator { kTwoNn, kTwoNnGlobal, kMle, kMom, kGride };
enum class Cdf { kPaper, kUpper };  // F_k = (k - 1) / L, or k / L
enum class Fit { kOls, kMl };       // least squares through the origin, or maximum likelihood
enum class IndexKind { kAuto, kExact, kHnsw };

// Limits on what a caller may ask for.
inline constexpr int kMinNeighbors = 4;
inline constexpr int kMaxNeighbors = 2048;
inline constexpr std::int64_t kMaxCloudPoints = 1'000'000;
inline constexpr int kMaxDim = 65'536;
inline constexpr double kMaxDuplicateTolerance = 0.5;

// Defaults are the paper's (Ruppik et al. 2025), but for max_points, which is 60 000 there.
struct EstimatorSettings {
  Estimator estimator = Estimator::kTwoNn;
  int neighbors = 128;  // L, the neighborhood
  Cdf cdf = Cdf::kPaper;
  Fit fit = Fit::kOls;
  IndexKind index = IndexKind::kAuto;
  std::int64_t max_points = 10'000;  // N_max: more distinct valid rows are subsampled
  std::int64_t seed = 0;
  std::int64_t queries = 0;  // average over so many random points; 0: all
  // Average over as many random points as the standard error takes to fall to this share of the
  // mean (queries.h); 0: see `queries`. Not with `queries`, nor with kHnsw, whose graph costs more
  // than fewer queries save.
  double target_standard_error = 0;
  // Points nearer to each other than this share of the median distance to the nearest neighbor
  // count as duplicates (near_duplicates.h); 0: only equal rows do.
  double duplicate_tolerance = 0;
  friend bool operator==(const EstimatorSettings&, const EstimatorSettings&) = default;
};

// INVALID_ARGUMENT naming the field, the value and what is allowed.
absl::Status Validate(const EstimatorSettings& settings);

// The names used on the command line, in JSON and in metric labels: "twonn", "twonn-global", "mle",
// "mom", "gride"; "paper", "upper"; "ols", "ml"; "auto", "exact", "hnsw".
std::string_view Name(Estimator estimator);
std::string_view Name(Cdf cdf);
std::string_view Name(Fit fit);
std::string_view Name(IndexKind index);
// The inverse; INVALID_ARGUMENT lists what is allowed.
absl::StatusOr<Estimator> ParseEstimator(std::string_view name);
absl::StatusOr<Cdf> ParseCdf(std::string_view name);
absl::StatusOr<Fit> ParseFit(std::string_view name);
absl::StatusOr<IndexKind> ParseIndexKind(std::string_view name);

}  // namespace dimwatch
