// Signals and decisions: what dimwatch concludes from the course of a run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "src/base/types.h"

namespace dimwatch {

enum class SignalKind {
  kExhausted,
  kOverfitting,
  kMemorizing,
  kGeneralizing,
  kCollapsed,
  kDiverging,
  kStalled,
};
enum class SignalState { kInactive, kPending, kFiring, kResolved };
enum class Verdict { kContinue, kStop };
enum class PolicyMode { kAdvisory, kShadow, kEnforced };

// "overfitting", "FIRING", "STOP", "shadow": as on the command line and in JSON. docs/signals.md.
std::string_view Name(SignalKind kind);
std::string_view Name(SignalState state);
std::string_view Name(Verdict verdict);
std::string_view Name(PolicyMode mode);
std::optional<SignalKind> ParseSignalKind(std::string_view name);

// Parameters of the detectors; proto/dimwatch/v1/config.proto says what each means. All counts are
// complete estimates of one probe.
struct SignalSettings {
  int warmup = 5;
  int patience = 3;
  int cooldown = 2;
  double min_delta = 0.05;  // relative
  double z_score = 3;
  double heartbeat_seconds = 600;
  double collapse_lid = 0.5;
  double collapse_ratio = 0.5;
  friend bool operator==(const SignalSettings&, const SignalSettings&) = default;
};

struct PolicySettings {
  PolicyMode mode = PolicyMode::kAdvisory;
  std::vector<SignalKind> stop_on = {SignalKind::kExhausted, SignalKind::kOverfitting,
                                     SignalKind::kCollapsed};
  int min_probes = 1;
  Step warmup_step;
  friend bool operator==(const PolicySettings&, const PolicySettings&) = default;
};

// INVALID_ARGUMENT naming the field, the value and what is allowed.
absl::Status Validate(const SignalSettings& settings);
absl::Status Validate(const PolicySettings& settings);

// What a detector sees of one estimate.
struct EstimatePoint {
  Step step;
  bool complete = true;  // otherwise it is kept, but feeds no detector (except collapsed)
  std::optional<double> mean;
  std::optional<double> standard_error;
  std::optional<double> paired_change;  // mean LID_i(t) - LID_i(t - 1) over aligned rows
  std::optional<double> paired_change_standard_error;
  std::int64_t rows = 0;
  std::int64_t nonfinite_rows = 0;
  std::int64_t duplicate_rows = 0;
  double variance = 0;
};

// A signal as it stands, or as it just became.
struct Signal {
  std::string probe;  // empty for stalled
  SignalKind kind = SignalKind::kExhausted;
  SignalState state = SignalState::kInactive;
  Step step;           // of the estimate that brought this state
  std::string reason;  // one sentence with the numbers
  std::map<std::string, double> evidence;
  friend bool operator==(const Signal&, const Signal&) = default;
};

struct Decision {
  Verdict verdict = Verdict::kContinue;
  Step step;
  std::string reason = "no signal is firing";
  std::optional<Step> best_step;  // with kStop
  PolicyMode mode = PolicyMode::kAdvisory;
  std::vector<SignalKind> signals;  // firing, in the order of SignalKind, each once
  friend bool operator==(const Decision&, const Decision&) = default;
};

}  // namespace dimwatch
