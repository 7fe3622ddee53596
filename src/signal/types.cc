#include "src/signal/types.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_format.h"

namespace dimwatch {
namespace {

constexpr int kMaxCount = 10'000;  // bounds the windows that detectors keep

constexpr std::array<SignalKind, 7> kKinds = {SignalKind::kExhausted,  SignalKind::kOverfitting,
                                              SignalKind::kMemorizing, SignalKind::kGeneralizing,
                                              SignalKind::kCollapsed,  SignalKind::kDiverging,
                                              SignalKind::kStalled};

absl::Status CheckCount(std::string_view field, int value, int least) {
  if (value >= least && value <= kMaxCount) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %d to %d expected, got %d", field, least, kMaxCount, value));
}

// Allows [least, most], without `least` itself if `open`.
absl::Status CheckNumber(std::string_view field, double value, double least, bool open,
                         double most) {
  if (std::isfinite(value) && value <= most && (open ? value > least : value >= least)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: a number %s %g and at most %g expected, got %g", field,
                      open ? "above" : "of at least", least, most, value));
}

}  // namespace

std::string_view Name(SignalKind kind) {
  switch (kind) {
    case SignalKind::kExhausted:
      return "exhausted";
    case SignalKind::kOverfitting:
      return "overfitting";
    case SignalKind::kMemorizing:
      return "memorizing";
    case SignalKind::kGeneralizing:
      return "generalizing";
    case SignalKind::kCollapsed:
      return "collapsed";
    case SignalKind::kDiverging:
      return "diverging";
    case SignalKind::kStalled:
      return "stalled";
  }
  return "";
}

std::string_view Name(SignalState state) {
  switch (state) {
    case SignalState::kInactive:
      return "INACTIVE";
    case SignalState::kPending:
      return "PENDING";
    case SignalState::kFiring:
      return "FIRING";
    case SignalState::kResolved:
      return "RESOLVED";
  }
  return "";
}

std::string_view Name(Verdict verdict) { return verdict == Verdict::kStop ? "STOP" : "CONTINUE"; }

std::string_view Name(PolicyMode mode) {
  switch (mode) {
    case PolicyMode::kAdvisory:
      return "advisory";
    case PolicyMode::kShadow:
      return "shadow";
    case PolicyMode::kEnforced:
      return "enforced";
  }
  return "";
}

std::optional<SignalKind> ParseSignalKind(std::string_view name) {
  for (const SignalKind kind : kKinds) {
    if (Name(kind) == name) return kind;
  }
  return std::nullopt;
}

absl::Status Validate(const SignalSettings& settings) {
  constexpr double kHuge = 1e9;
  for (const absl::Status& status : {
           CheckCount("warmup", settings.warmup, 0),
           CheckCount("patience", settings.patience, 1),
           CheckCount("cooldown", settings.cooldown, 0),
           CheckNumber("min_delta", settings.min_delta, 0, false, kHuge),
           CheckNumber("z_score", settings.z_score, 0, false, kHuge),
           CheckNumber("heartbeat_seconds", settings.heartbeat_seconds, 0, true, kHuge),
           CheckNumber("collapse_lid", settings.collapse_lid, 0, false, kHuge),
           CheckNumber("collapse_ratio", settings.collapse_ratio, 0, true, 1),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Validate(const PolicySettings& settings) {
  for (std::size_t i = 0; i < settings.stop_on.size(); ++i) {
    const SignalKind kind = settings.stop_on[i];
    if (kind == SignalKind::kStalled) {
      return absl::InvalidArgumentError(
          "stop_on: \"stalled\" cannot stop a run, for it says that the run is silent; allowed are "
          "exhausted, overfitting, memorizing, generalizing, collapsed, diverging");
    }
    const auto end = settings.stop_on.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(settings.stop_on.begin(), end, kind) != end) {
      return absl::InvalidArgumentError(
          absl::StrFormat("stop_on: each signal once expected, got \"%s\" twice", Name(kind)));
    }
  }
  if (absl::Status status = CheckCount("min_probes", settings.min_probes, 1); !status.ok()) {
    return status;
  }
  if (settings.warmup_step.value < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("warmup_step: 0 or greater expected, got %d", settings.warmup_step.value));
  }
  return absl::OkStatus();
}

}  // namespace dimwatch
