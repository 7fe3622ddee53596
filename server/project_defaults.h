// What the server's file says of projects: by what their runs are judged unless they say otherwise
// themselves, how long they are kept, and what they may use.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dimwatch/v1/run.pb.h"
#include "src/monitor/usage.h"

namespace dimwatch::server {

// By project; of the configurations only `signals` and `policy` are set.
using ProjectDefaults = std::map<std::string, v1::RunConfig>;

struct Projects {
  ProjectDefaults defaults;
  std::map<std::string, absl::Duration> retention;  // of ended runs
  Quotas quotas;
};

// No more than a century; 0 days are forever.
inline constexpr std::int64_t kMaxRetentionDays = 36'500;
absl::Duration RetentionOf(std::int64_t days);

// From {"NAME": {"signals": {...}, "policy": {...}, "quota": {...}, "retention_days": 90}, ...}
// with the fields of config.proto; a mode is written "shadow". `quota`: {"max_runs": 20, ...} with
// the fields of Quota, what projects may that say nothing else. INVALID_ARGUMENT names the project,
// the field, the value and what is allowed.
absl::StatusOr<Projects> ParseProjects(const std::string& json, const std::string& quota = "{}");

// Fills in what `run` leaves at zero and its project has a default for.
void ApplyDefaults(const ProjectDefaults& defaults, v1::Run& run);

}  // namespace dimwatch::server
