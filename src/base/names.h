// Names and ids that callers choose: of runs, projects, probes and scalars.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dimwatch {

inline constexpr std::size_t kMaxNameLength = 128;

// OK if `name` is 1 to 128 of the characters A-Z a-z 0-9 . _ / -. Otherwise INVALID_ARGUMENT saying
// what `field` got and what is allowed.
absl::Status ValidateName(std::string_view field, std::string_view name);

// Whether `a` comes before `b` where numbers count as numbers: layer.2 before layer.10.
bool NaturalLess(std::string_view a, std::string_view b);

// Text from outside as it may stand in a message: in quotes, shortened, with control characters,
// quotes and bytes above 127 escaped.
std::string Quoted(std::string_view text);

}  // namespace dimwatch
