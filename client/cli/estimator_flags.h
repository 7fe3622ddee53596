// The options that say how a cloud is estimated, the same on every subcommand.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "src/lid/settings.h"

namespace dimwatch::cli {

class EstimatorFlags {
 public:
  // REQUIRES: this object outlives `command`.
  void AddTo(CLI::App& command);
  // Replaces in `settings` what was given on the command line. INVALID_ARGUMENT for a name that is
  // none.
  absl::Status Apply(EstimatorSettings& settings) const;

 private:
  std::optional<std::string> estimator_;
  std::optional<int> neighbors_;
  std::optional<std::string> cdf_;
  std::optional<std::string> fit_;
  std::optional<std::string> index_;
  std::optional<std::int64_t> queries_;
  std::optional<double> target_se_;
  std::optional<std::int64_t> max_points_;
  std::optional<std::int64_t> seed_;
  std::optional<double> duplicate_tolerance_;
};

// Threads for numerical work: `requested`, or all of the machine's for 0.
std::size_t ComputeThreads(int requested);

}  // namespace dimwatch::cli
