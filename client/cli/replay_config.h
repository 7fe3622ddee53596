// The configuration file of `dimwatch replay`: how a trace is estimated and judged. TOML, with the
// names of proto/dimwatch/v1/config.proto:
//
//   neighbors = 64             # the same as [estimator] neighbors
//   [estimator]                # of all probes: estimator, neighbors, cdf, fit, index, max_points,
//   cdf = "upper"              # seed, queries
//   [signals]                  # warmup, patience, cooldown, min_delta, z_score,
//   patience = 4               # heartbeat_seconds, collapse_lid, collapse_ratio
//   [policy]                   # mode, stop_on, min_probes, warmup_step
//   stop_on = ["overfitting"]
//   [[probes]]                 # of one probe: probe, split, layer, window, window_points,
//   probe = "train/last"       # estimate_every, aligned, and an [probes.estimator] of its own
//   window = "rolling"
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/lid/settings.h"
#include "src/signal/types.h"
#include "src/window/settings.h"

namespace dimwatch::cli {

struct ReplayConfig {
  EstimatorSettings estimator;
  SignalSettings signals;
  PolicySettings policy;
  struct Probe {
    ProbeSettings settings;       // defaults not yet resolved
    std::optional<bool> aligned;  // none: found out from the trace
  };
  std::vector<Probe> probes;

  // As configured, or with the settings of all probes.
  Probe ProbeNamed(const std::string& name) const;
};

// NOT_FOUND where there is no such file; INVALID_ARGUMENT, with file and line, for what is no TOML,
// a name that is not known, or a value of the wrong type.
absl::StatusOr<ReplayConfig> ReadReplayConfig(const std::string& file);

}  // namespace dimwatch::cli
