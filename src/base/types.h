// The words every part shares (docs/concepts.md says what they mean to a user).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace dimwatch {

// The job's own optimizer step: the x axis of every series. 0 or greater.
struct Step {
  std::int64_t value = 0;
  // clang-tidy 14 takes the 0 that the compiler compares with for ours.
  friend auto operator<=>(const Step&, const Step&) = default;  // NOLINT(modernize-use-nullptr)
};

// Which inputs a probe embeds.
enum class Split { kTrain, kValidation, kOther };

// A probe's identity as far as signals care: the splits of one layer are compared with each other.
struct ProbeIdentity {
  std::string name;  // unique within the run: "train/layer.11"
  Split split = Split::kOther;
  std::string layer;  // "layer.11"
  friend bool operator==(const ProbeIdentity&, const ProbeIdentity&) = default;
};

}  // namespace dimwatch
