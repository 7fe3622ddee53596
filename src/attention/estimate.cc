#include "src/attention/estimate.h"

#include <algorithm>
#include <cmath>

namespace dimwatch {
namespace {

double StandardError(double std, std::size_t count) {
  return std / std::sqrt(static_cast<double>(count));
}

}  // namespace

AttentionEstimate EstimateAttention(std::span<const PromptDimension> prompts, std::int64_t invalid,
                                    const AttentionSettings& settings) {
  std::vector<double> dimensions;
  dimensions.reserve(prompts.size());
  for (const PromptDimension& prompt : prompts) {
    dimensions.push_back(static_cast<double>(prompt.dimension));
  }
  Summary summary = Summarize(dimensions);
  AttentionEstimate estimate;
  estimate.settings = settings;
  estimate.mean = summary.mean;
  estimate.std = summary.std;
  if (summary.std) estimate.standard_error = StandardError(*summary.std, prompts.size());
  estimate.quantiles = std::move(summary.quantiles);
  estimate.prompts = static_cast<std::int64_t>(prompts.size());
  estimate.invalid = invalid;
  return estimate;
}

void SortByPrompt(std::vector<PromptDimension>& prompts) {
  std::ranges::stable_sort(prompts, {}, &PromptDimension::prompt);
  const auto repeated = std::unique(
      prompts.begin(), prompts.end(),
      [](const PromptDimension& a, const PromptDimension& b) { return a.prompt == b.prompt; });
  prompts.erase(repeated, prompts.end());
}

std::optional<AttentionChange> CompareAttention(std::span<const PromptDimension> before,
                                                std::span<const PromptDimension> now) {
  std::vector<double> changes;
  auto was = before.begin();
  for (const PromptDimension& is : now) {
    while (was != before.end() && was->prompt < is.prompt) ++was;
    if (was == before.end()) break;
    if (was->prompt == is.prompt) {
      changes.push_back(static_cast<double>(is.dimension - was->dimension));
    }
  }
  const Summary summary = Summarize(changes);
  if (!summary.std) return std::nullopt;
  return AttentionChange{*summary.mean, StandardError(*summary.std, changes.size()),
                         static_cast<std::int64_t>(changes.size())};
}

}  // namespace dimwatch
