// Settings and other nested values as JSON text, for columns and log records. Numbers come back bit
// for bit, NaN and infinities too.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/attention/estimate.h"
#include "src/lid/cloud_estimate.h"
#include "src/lid/scale_profile.h"
#include "src/signal/types.h"
#include "src/window/settings.h"

namespace dimwatch {

// INVALID_ARGUMENT for text that is not UTF-8.
absl::StatusOr<std::string> ToJson(const ProbeSettings& probe);
absl::StatusOr<std::string> ToJson(const std::vector<ProbeSettings>& probes);
absl::StatusOr<std::string> ToJson(const EstimatorSettings& settings);
absl::StatusOr<std::string> ToJson(const AttentionSettings& settings);
absl::StatusOr<std::string> ToJson(const AttentionChange& change);
absl::StatusOr<std::string> ToJson(const std::vector<PromptDimension>& prompts);
absl::StatusOr<std::string> ToJson(const SignalSettings& settings);
absl::StatusOr<std::string> ToJson(const PolicySettings& settings);
absl::StatusOr<std::string> ToJson(const std::vector<Quantile>& quantiles);
absl::StatusOr<std::string> ToJson(const ScaleProfile& profile);
absl::StatusOr<std::string> ToJson(const std::vector<SignalKind>& kinds);
absl::StatusOr<std::string> ToJson(const std::map<std::string, std::string>& labels);
absl::StatusOr<std::string> ToJson(const std::map<std::string, double>& evidence);

// The inverse: FromJson<ProbeSettings>(text), for every type above. A setting that did not exist
// when the text was written has its default. DATA_LOSS, with what is wrong, for any other text.
template <typename Value>
absl::StatusOr<Value> FromJson(std::string_view text);

}  // namespace dimwatch
