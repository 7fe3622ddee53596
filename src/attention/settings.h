// How attention maps are counted.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace dimwatch {

// Limits on what a caller may ask for.
inline constexpr int kMaxHeads = 1024;
inline constexpr std::int64_t kMaxPositions = 1 << 20;       // tokens of a prompt
inline constexpr std::int64_t kMaxPromptsPerStep = 100'000;  // of one probe

// The default epsilon is the paper's (Cosentino & Shekkizhar 2024, arXiv 2407.02678).
struct AttentionSettings {
  double epsilon = 0.1;   // weights above it are counted
  bool relative = false;  // the threshold is epsilon times the largest weight of each row
  int heads = 0;          // of the layer; 0: not known before the first batch
  friend bool operator==(const AttentionSettings&, const AttentionSettings&) = default;
};

// INVALID_ARGUMENT naming the field, the value and what is allowed.
absl::Status Validate(const AttentionSettings& settings);

}  // namespace dimwatch
