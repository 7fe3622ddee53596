#include "src/signal/policy.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"

namespace dimwatch {
namespace {

constexpr std::array<SignalKind, 6> kPrecedence = {
    SignalKind::kCollapsed,  SignalKind::kOverfitting,  SignalKind::kExhausted,
    SignalKind::kMemorizing, SignalKind::kGeneralizing, SignalKind::kDiverging};

bool Stops(const PolicySettings& settings, SignalKind kind) {
  return std::find(settings.stop_on.begin(), settings.stop_on.end(), kind) !=
         settings.stop_on.end();
}

// Why a STOP by `voters` must wait; none if it need not.
std::optional<std::string> HeldBack(const PolicySettings& settings,
                                    const std::vector<FiringSignal>& firing,
                                    const std::vector<FiringSignal>& voters, const Metrics& metrics,
                                    const Metrics::Moment& now) {
  if (now.step < settings.warmup_step) {
    return absl::StrFormat("no STOP before step %d", settings.warmup_step.value);
  }
  if (voters.front().kind == SignalKind::kCollapsed) return std::nullopt;
  for (const FiringSignal& signal : firing) {
    const bool holds_back =
        signal.kind == SignalKind::kGeneralizing || signal.kind == SignalKind::kMemorizing;
    if (holds_back && !Stops(settings, signal.kind)) {
      return absl::StrFormat("%s on %s holds the STOP back", Name(signal.kind), signal.probe);
    }
  }
  if (voters.front().kind == SignalKind::kExhausted && !metrics.Any(now)) {
    return "no loss and no validation metric is reported: the LID alone cannot tell that no more "
           "is to come";
  }
  Step since = now.step;
  for (const FiringSignal& voter : voters) since = std::min(since, voter.horizon);
  const std::optional<MetricGain> gain = metrics.Improving(since, now);
  if (!gain) return std::nullopt;
  return absl::StrFormat("%s still improves, from %.4g to %.4g at step %d, and holds the STOP back",
                         gain->name, gain->before, gain->now, gain->step.value);
}

std::string Describe(const std::vector<FiringSignal>& voters) {
  std::string text = absl::StrFormat("%s on %s", Name(voters.front().kind), voters.front().probe);
  if (voters.size() > 1) text += absl::StrFormat(" and %d more", voters.size() - 1);
  return text;
}

std::optional<Step> EarliestBestStep(const std::vector<FiringSignal>& voters) {
  std::optional<Step> best;
  for (const FiringSignal& voter : voters) {
    if (voter.best_step && (!best || *voter.best_step < *best)) best = voter.best_step;
  }
  return best;
}

}  // namespace

Decision Decide(const PolicySettings& settings, const std::vector<FiringSignal>& firing,
                const Metrics& metrics, const Metrics::Moment& now) {
  Decision decision;
  decision.step = now.step;
  decision.mode = settings.mode;
  for (const FiringSignal& signal : firing) decision.signals.push_back(signal.kind);
  std::sort(decision.signals.begin(), decision.signals.end());
  decision.signals.erase(std::unique(decision.signals.begin(), decision.signals.end()),
                         decision.signals.end());
  if (!firing.empty()) decision.reason = "none of the firing signals recommends a STOP";

  bool explained = false;
  for (const SignalKind kind : kPrecedence) {
    if (!Stops(settings, kind)) continue;
    std::vector<FiringSignal> voters;
    std::copy_if(firing.begin(), firing.end(), std::back_inserter(voters),
                 [kind](const FiringSignal& signal) { return signal.kind == kind; });
    if (voters.empty()) continue;
    std::optional<std::string> held;
    if (std::ssize(voters) < settings.min_probes) {
      held = absl::StrFormat("only on %d of the %d probes that a STOP needs", voters.size(),
                             settings.min_probes);
    } else {
      held = HeldBack(settings, firing, voters, metrics, now);
    }
    if (!held) {
      decision.verdict = Verdict::kStop;
      decision.reason = absl::StrFormat("%s: %s", Describe(voters), voters.front().reason);
      decision.best_step = EarliestBestStep(voters);
      const std::optional<MetricRecord> record = metrics.Best(now);
      if (record && kind != SignalKind::kCollapsed) {
        decision.best_step = record->step;
        decision.reason += absl::StrFormat("; %s was best at step %d with %.4g", record->name,
                                           record->step.value, record->value);
      }
      return decision;
    }
    if (!explained) decision.reason = absl::StrFormat("%s, but %s", Describe(voters), *held);
    explained = true;
  }
  return decision;
}

}  // namespace dimwatch
