// How a limit says no.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace dimwatch {

// RESOURCE_EXHAUSTED "<quota>: <problem>". `quota`: the name of the limit in the configuration.
// `retry`: when it may be worth trying again; none where trying again changes nothing.
absl::Status QuotaExceeded(absl::string_view quota, absl::string_view problem,
                           std::optional<absl::Duration> retry = std::nullopt);

// What such a status names; empty, and none, of any other.
std::string QuotaOf(const absl::Status& status);
std::optional<absl::Duration> RetryOf(const absl::Status& status);

}  // namespace dimwatch
