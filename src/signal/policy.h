// What a run's policy makes of its firing signals.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/signal/metrics.h"
#include "src/signal/types.h"

namespace dimwatch {

// A signal of a probe that is firing.
struct FiringSignal {
  std::string probe;
  SignalKind kind = SignalKind::kExhausted;
  std::string reason;
  std::optional<Step> best_step;
  Step horizon;  // a validation metric that improved after it improves still
};

// STOP if a kind of `stop_on` fires on `min_probes` probes at or after `warmup_step`. Nothing holds
// back `collapsed`; the others are held back while generalizing or memorizing fires on any probe
// (unless it is itself in `stop_on`), and by a validation metric that still improves; `exhausted`
// also where the job reports neither a loss nor a validation metric. A false stop costs a run, a
// missed one costs its electricity. best_step is the earliest that the signals of the deciding kind
// name; of several kinds collapsed decides before overfitting before the others.
Decision Decide(const PolicySettings& settings, const std::vector<FiringSignal>& firing,
                const Metrics& metrics, const Metrics::Moment& now);

}  // namespace dimwatch
