#include "src/monitor/attention_admission.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "src/attention/attended.h"
#include "src/base/names.h"
#include "src/monitor/rejection.h"

namespace dimwatch {
namespace {

using Rejection = RunAdmission::Rejection;

Rejection CheckRange(const std::string& field, std::int64_t value, std::int64_t low,
                     std::int64_t high) {
  if (value >= low && value <= high) return {};
  return Invalid(field, absl::StrCat(value, " got; allowed are ", low, " to ", high));
}

Rejection CheckNotNegative(const std::string& field, std::int64_t value) {
  if (value >= 0) return {};
  return Invalid(field, absl::StrCat(value, " got; allowed are 0 and greater"));
}

Rejection CheckNumbers(const AttentionItem& item, std::int64_t prompts) {
  Rejection rejection = CheckNotNegative("step", item.step.value);
  if (rejection.status.ok()) rejection = CheckRange("heads", item.heads, 1, kMaxHeads);
  if (rejection.status.ok()) rejection = CheckRange("positions", item.positions, 1, kMaxPositions);
  if (rejection.status.ok()) rejection = CheckNotNegative("prompts", item.prompts);
  if (rejection.status.ok()) {
    rejection = CheckNotNegative("invalid_prompts", item.invalid_prompts);
  }
  if (rejection.status.ok()) {
    rejection = CheckNotNegative("dropped_prompts", item.dropped_prompts);
  }
  if (!rejection.status.ok()) return rejection;
  if (item.prompts == 0 && item.invalid_prompts == 0 && item.dropped_prompts == 0) {
    return Invalid("prompts", "none got, valid, invalid or dropped; a batch has at least 1");
  }
  if (prompts <= kMaxPromptsPerStep) return {};
  return Reject(absl::ResourceExhaustedError(absl::StrCat(
                    "probe ", Quoted(item.probe), ": ", prompts, " prompts in step ",
                    item.step.value, "; at most ", kMaxPromptsPerStep, " are allowed")),
                "prompts");
}

Rejection CheckSize(const std::string& field, std::size_t size, std::int64_t prompts) {
  if (size == 0 || static_cast<std::int64_t>(size) == prompts) return {};
  return Invalid(field, absl::StrCat(size, " got; allowed are none, or one for each of the ",
                                     prompts, " prompts"));
}

Rejection CheckMaps(const AttentionItem& item, const AttentionSettings& settings,
                    std::int64_t max_batch_bytes) {
  const auto bytes = static_cast<std::int64_t>(item.data.size());
  if (bytes > max_batch_bytes) {
    return Reject(absl::ResourceExhaustedError(
                      absl::StrCat("data: ", bytes, " bytes got; at most ", max_batch_bytes,
                                   " (max_batch_bytes) are allowed: split the batch")),
                  "data");
  }
  const std::int64_t expected =
      item.prompts * item.heads * item.positions * static_cast<std::int64_t>(SizeOf(item.dtype));
  if (bytes != expected) {
    return Invalid("data", absl::StrCat(bytes, " bytes got; ", item.prompts, " prompts x ",
                                        item.heads, " heads x ", item.positions, " positions of ",
                                        SizeOf(item.dtype), " bytes expected"));
  }
  if (item.invalid_prompts != 0) {
    return Invalid("invalid_prompts",
                   "given with data; they are for dimensions, which leave them "
                   "out");
  }
  Rejection rejection = CheckSize("first_positions", item.first_positions.size(), item.prompts);
  if (!rejection.status.ok()) return rejection;
  rejection = CheckSize("query_positions", item.query_positions.size(), item.prompts);
  if (!rejection.status.ok()) return rejection;
  const auto counted = CountAttended(AttentionRowsOf(item), settings);
  if (counted.ok()) return {};
  return Invalid("data", std::string(counted.status().message()));
}

Rejection CheckDimensions(const AttentionItem& item, const AttentionSettings& settings) {
  if (!item.first_positions.empty() || !item.query_positions.empty()) {
    return Invalid("query_positions", "positions given without data");
  }
  if (static_cast<std::int64_t>(item.dimensions.size()) != item.prompts) {
    return Invalid("dimensions", absl::StrCat(item.dimensions.size(), " got; one for each of the ",
                                              item.prompts, " prompts is needed, or data"));
  }
  const std::int64_t most = item.heads * MostAttended(settings, item.positions);
  for (const std::int64_t dimension : item.dimensions) {
    if (dimension >= 0 && dimension <= most) continue;
    return Invalid("dimensions",
                   absl::StrCat(dimension, " got; ", item.heads, " heads of ", item.positions,
                                " positions count 0 to ", most, " above ", settings.epsilon,
                                settings.relative ? " of the largest" : ""));
  }
  return {};
}

}  // namespace

Rejection CheckAttention(const AttentionItem& item, const ProbeSettings& probe,
                         std::int64_t prompts, std::int64_t max_batch_bytes) {
  if (!probe.attention) {
    return Invalid("probe", absl::StrCat(Quoted(item.probe),
                                         " watches samples, and takes no attention maps; one that "
                                         "does is declared with `attention`"));
  }
  if (Rejection r = CheckNumbers(item, prompts); !r.status.ok()) return r;
  const AttentionSettings& settings = *probe.attention;
  if (settings.heads != 0 && settings.heads != item.heads) {
    return Reject(
        absl::InvalidArgumentError(absl::StrCat("probe ", Quoted(item.probe), ": ", settings.heads,
                                                " heads expected, got ", item.heads)),
        "heads");
  }
  Rejection ids = CheckIds("prompt_ids", item.prompt_ids, item.prompts, "prompt");
  if (!ids.status.ok()) return ids;
  if (item.data.empty()) return CheckDimensions(item, settings);
  if (item.dimensions.empty()) return CheckMaps(item, settings, max_batch_bytes);
  return Invalid("dimensions", "given together with data; exactly one of them is allowed");
}

}  // namespace dimwatch
