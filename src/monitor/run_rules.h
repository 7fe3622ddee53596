// What a run may be called and how it may be described.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "src/monitor/admission.h"
#include "src/store/records.h"

namespace dimwatch {

inline constexpr std::size_t kMaxTextBytes = 256;  // display name, user, label value
inline constexpr std::size_t kMaxLabels = 32;
inline constexpr std::size_t kMaxLabelKeyLength = 64;
inline constexpr std::size_t kMaxHyperparameterBytes = 64 << 10;

// Each: INVALID_ARGUMENT naming the field, the value and what is allowed.
absl::Status ValidateText(const std::string& field, const std::string& text);
absl::Status ValidateLabels(const std::map<std::string, std::string>& labels);
// All that a caller may set of a new run.
absl::Status ValidateNewRun(const RunRecord& run, const RunLimits& limits);

}  // namespace dimwatch
