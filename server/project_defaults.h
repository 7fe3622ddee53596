// By what the runs of a project are judged unless they say otherwise themselves.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "dimwatch/v1/run.pb.h"

namespace dimwatch::server {

// By project; of the configurations only `signals` and `policy` are set.
using ProjectDefaults = std::map<std::string, v1::RunConfig>;

// From {"NAME": {"signals": {...}, "policy": {...}}, ...} with the fields of config.proto; a mode
// is written "shadow". INVALID_ARGUMENT names the project, the field, the value and what is
// allowed.
absl::StatusOr<ProjectDefaults> ParseProjectDefaults(const std::string& json);

// Fills in what `run` leaves at zero and its project has a default for.
void ApplyDefaults(const ProjectDefaults& defaults, v1::Run& run);

}  // namespace dimwatch::server
