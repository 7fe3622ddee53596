// How the samples of a probe are gathered into clouds.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "src/attention/settings.h"
#include "src/base/types.h"
#include "src/lid/settings.h"

namespace dimwatch {

enum class WindowKind { kSnapshot, kRolling };

inline constexpr std::int64_t kMaxScaleEvery = 1'000'000;

// A probe's declaration with every default resolved.
struct ProbeSettings {
  ProbeIdentity identity;
  WindowKind window = WindowKind::kSnapshot;
  std::int64_t window_points = 0;   // rolling only
  std::int64_t estimate_every = 0;  // rolling only
  EstimatorSettings estimator;
  bool aligned = false;
  int dim = 0;  // 0: not known before the first batch
  // Of every so many estimates of the probe, counted from its first, the first gets a scale
  // profile; 0: none.
  std::int64_t scale_every = 0;
  // Present: the probe watches attention maps instead of embedding vectors (src/attention). It
  // takes all prompts of a step; of the settings only identity counts besides.
  std::optional<AttentionSettings> attention = std::nullopt;
  friend bool operator==(const ProbeSettings&, const ProbeSettings&) = default;
};

// Fills what was left at zero or empty: split and layer from the name, window sizes from
// max_points.
ProbeSettings ResolveDefaults(ProbeSettings settings);
// INVALID_ARGUMENT naming the field, the value and what is allowed. REQUIRES: defaults resolved.
absl::Status Validate(const ProbeSettings& settings);

}  // namespace dimwatch
