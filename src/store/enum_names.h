// Enumerations as the store keeps them: by name, so that their order may change.
#pragma once

#include <optional>
#include <string_view>

#include "src/base/types.h"
#include "src/window/settings.h"

namespace dimwatch {

// The names of the enumerations that have no Name() of their own.
std::string_view EnumName(Split split);
std::string_view EnumName(WindowKind window);

// The inverse of EnumName, or else of Name: for Split, WindowKind, Estimator, Cdf, Fit, IndexKind,
// SignalKind, SignalState, Verdict, PolicyMode and RunState.
template <typename Enum>
std::optional<Enum> ParseEnum(std::string_view name);

}  // namespace dimwatch
