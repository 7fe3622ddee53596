// The attention-graph dimension of a probe at one step, over its prompts. Higher is more
// expressive: the opposite direction of the mean LID, and another unit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/attention/settings.h"
#include "src/lid/summary.h"

namespace dimwatch {

// ID_eps of one prompt (attended.h), by what stays the same of the prompt from step to step.
struct PromptDimension {
  std::int64_t prompt = 0;
  std::int64_t dimension = 0;
  friend bool operator==(const PromptDimension&, const PromptDimension&) = default;
};

struct AttentionEstimate {
  AttentionSettings settings;
  std::optional<double> mean;  // over the prompts; none without a valid one
  std::optional<double> std;   // ddof 1; none below two
  // Of `mean`, for a new draw of the prompts, which are taken for independent: std / sqrt(prompts).
  std::optional<double> standard_error;
  std::vector<Quantile> quantiles;  // at kQuantiles, linear interpolation; empty without a mean
  std::int64_t prompts = 0;         // averaged over
  std::int64_t invalid = 0;         // left out: a weight was NaN or infinite
};

AttentionEstimate EstimateAttention(std::span<const PromptDimension> prompts, std::int64_t invalid,
                                    const AttentionSettings& settings);

// Sorts by prompt; of equal prompts the first is kept.
void SortByPrompt(std::vector<PromptDimension>& prompts);

struct AttentionChange {
  double mean = 0;            // over the prompts in both, of dimension(now) - dimension(before)
  double standard_error = 0;  // of `mean`, for a new draw of the prompts
  std::int64_t prompts = 0;   // in both
};

// None below two prompts in both. REQUIRES: both are sorted by prompt, each prompt once.
std::optional<AttentionChange> CompareAttention(std::span<const PromptDimension> before,
                                                std::span<const PromptDimension> now);

}  // namespace dimwatch
