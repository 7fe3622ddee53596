#include "src/lid/settings.h"

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/names.h"

namespace dimwatch {
namespace {

template <typename Enum>
using NameTable = std::span<const std::pair<Enum, std::string_view>>;

constexpr std::array kEstimators = {
    std::pair(Estimator::kTwoNn, std::string_view("twonn")),
    std::pair(Estimator::kTwoNnGlobal, std::string_view("twonn-global")),
    std::pair(Estimator::kMle, std::string_view("mle")),
    std::pair(Estimator::kMom, std::string_view("mom")),
    std::pair(Estimator::kGride, std::string_view("gride"))};
constexpr std::array kCdfs = {std::pair(Cdf::kPaper, std::string_view("paper")),
                              std::pair(Cdf::kUpper, std::string_view("upper"))};
constexpr std::array kFits = {std::pair(Fit::kOls, std::string_view("ols")),
                              std::pair(Fit::kMl, std::string_view("ml"))};
constexpr std::array kIndexKinds = {std::pair(IndexKind::kAuto, std::string_view("auto")),
                                    std::pair(IndexKind::kExact, std::string_view("exact")),
                                    std::pair(IndexKind::kHnsw, std::string_view("hnsw"))};

template <typename Enum>
std::string_view NameIn(NameTable<Enum> table, Enum value) {
  for (const auto& [entry, name] : table) {
    if (entry == value) return name;
  }
  return "";
}

template <typename Enum>
absl::StatusOr<Enum> ParseIn(NameTable<Enum> table, std::string_view field, std::string_view name) {
  std::vector<std::string> allowed;
  for (const auto& [entry, entry_name] : table) {
    if (entry_name == name) return entry;
    allowed.emplace_back(entry_name);
  }
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": got ", Quoted(name),
                                                 "; allowed are ", absl::StrJoin(allowed, ", ")));
}

absl::Status CheckRange(const char* field, std::int64_t value, std::int64_t low,
                        std::int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": got ", value, "; ", low, " to ", high, " are allowed"));
}

absl::Status CheckTarget(const EstimatorSettings& settings) {
  const double target = settings.target_standard_error;
  if (!(target >= 0 && target < 1)) {
    return absl::InvalidArgumentError(absl::StrCat("target_standard_error: got ", target,
                                                   "; a share of the mean below 1 is allowed"));
  }
  if (target > 0 && settings.queries != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("queries: got ", settings.queries,
                     "; only 0 is allowed with target_standard_error, which chooses them"));
  }
  if (target > 0 && settings.index == IndexKind::kHnsw) {
    return absl::InvalidArgumentError(
        "index: got hnsw; auto and exact are allowed with target_standard_error");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const EstimatorSettings& settings) {
  absl::Status status = CheckRange("neighbors", settings.neighbors, kMinNeighbors, kMaxNeighbors);
  status.Update(CheckRange("max_points", settings.max_points, 1, kMaxCloudPoints));
  status.Update(CheckRange("queries", settings.queries, 0, kMaxCloudPoints));
  status.Update(CheckTarget(settings));
  const double tolerance = settings.duplicate_tolerance;
  if (!(tolerance >= 0 && tolerance <= kMaxDuplicateTolerance)) {
    status.Update(
        absl::InvalidArgumentError(absl::StrCat("duplicate_tolerance: got ", tolerance, "; 0 to ",
                                                kMaxDuplicateTolerance, " are allowed")));
  }
  return status;
}

std::string_view Name(Estimator estimator) { return NameIn<Estimator>(kEstimators, estimator); }
std::string_view Name(Cdf cdf) { return NameIn<Cdf>(kCdfs, cdf); }
std::string_view Name(Fit fit) { return NameIn<Fit>(kFits, fit); }
std::string_view Name(IndexKind index) { return NameIn<IndexKind>(kIndexKinds, index); }

absl::StatusOr<Estimator> ParseEstimator(std::string_view name) {
  return ParseIn<Estimator>(kEstimators, "estimator", name);
}
absl::StatusOr<Cdf> ParseCdf(std::string_view name) { return ParseIn<Cdf>(kCdfs, "cdf", name); }
absl::StatusOr<Fit> ParseFit(std::string_view name) { return ParseIn<Fit>(kFits, "fit", name); }
absl::StatusOr<IndexKind> ParseIndexKind(std::string_view name) {
  return ParseIn<IndexKind>(kIndexKinds, "index", name);
}

}  // namespace dimwatch
