#include "src/store/enum_names.h"

#include <initializer_list>

#include "src/lid/settings.h"
#include "src/signal/types.h"
#include "src/store/records.h"

namespace dimwatch {
namespace {

template <typename Enum>
std::optional<Enum> Find(std::string_view name, std::initializer_list<Enum> all) {
  for (const Enum value : all) {
    if constexpr (requires { Name(value); }) {
      if (Name(value) == name) return value;
    } else {
      if (EnumName(value) == name) return value;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view EnumName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kOther:
      return "other";
  }
  return "";
}

std::string_view EnumName(WindowKind window) {
  switch (window) {
    case WindowKind::kSnapshot:
      return "snapshot";
    case WindowKind::kRolling:
      return "rolling";
  }
  return "";
}

template <>
std::optional<Split> ParseEnum(std::string_view name) {
  return Find(name, {Split::kTrain, Split::kValidation, Split::kOther});
}

template <>
std::optional<WindowKind> ParseEnum(std::string_view name) {
  return Find(name, {WindowKind::kSnapshot, WindowKind::kRolling});
}

template <>
std::optional<Estimator> ParseEnum(std::string_view name) {
  return Find(name, {Estimator::kTwoNn, Estimator::kTwoNnGlobal, Estimator::kMle, Estimator::kMom,
                     Estimator::kGride});
}

template <>
std::optional<Cdf> ParseEnum(std::string_view name) {
  return Find(name, {Cdf::kPaper, Cdf::kUpper});
}

template <>
std::optional<Fit> ParseEnum(std::string_view name) {
  return Find(name, {Fit::kOls, Fit::kMl});
}

template <>
std::optional<IndexKind> ParseEnum(std::string_view name) {
  return Find(name, {IndexKind::kAuto, IndexKind::kExact, IndexKind::kHnsw});
}

template <>
std::optional<SignalKind> ParseEnum(std::string_view name) {
  return ParseSignalKind(name);
}

template <>
std::optional<SignalState> ParseEnum(std::string_view name) {
  return Find(name, {SignalState::kInactive, SignalState::kPending, SignalState::kFiring,
                     SignalState::kResolved});
}

template <>
std::optional<Verdict> ParseEnum(std::string_view name) {
  return Find(name, {Verdict::kContinue, Verdict::kStop});
}

template <>
std::optional<PolicyMode> ParseEnum(std::string_view name) {
  return Find(name, {PolicyMode::kAdvisory, PolicyMode::kShadow, PolicyMode::kEnforced});
}

template <>
std::optional<RunState> ParseEnum(std::string_view name) {
  return Find(name, {RunState::kRunning, RunState::kFinished, RunState::kFailed, RunState::kStale});
}

}  // namespace dimwatch
