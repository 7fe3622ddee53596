#include "src/signal/judge.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "src/signal/metrics.h"
#include "src/signal/policy.h"
#include "src/signal/probe_judge.h"

namespace dimwatch {

class RunJudge::Impl {
 public:
  Impl(SignalSettings signals, PolicySettings policy)
      : settings_(signals), policy_(std::move(policy)) {
    decision_.mode = policy_.mode;
    stalled_.kind = SignalKind::kStalled;
  }

  void AddProbe(const ProbeIdentity& identity) {
    const bool added = probes_.try_emplace(identity.name, identity, settings_).second;
    assert(added);
    (void)added;
    if (identity.split == Split::kOther) return;
    for (auto& [name, probe] : probes_) {
      const ProbeIdentity& candidate = probe.judge.identity();
      const bool pair = candidate.layer == identity.layer && candidate.split != identity.split &&
                        candidate.split != Split::kOther;
      if (!pair || probe.other) continue;
      Probe& mine = probes_.at(identity.name);
      mine.other = &probe;
      probe.other = &mine;
      return;
    }
  }

  Judgement Observe(std::string_view name, const EstimatePoint& point) {
    const auto found = probes_.find(name);
    assert(found != probes_.end());
    Probe& probe = found->second;
    const bool rewound = probe.last_step && point.step <= *probe.last_step;
    if (rewound) {
      std::erase_if(kept_, [&](const Kept& kept) {
        return kept.probe == &probe && kept.point.step >= point.step;
      });
    }
    probe.last_step = point.step;
    kept_.push_back({order_++, &probe, point});
    if (rewound) return Refold(point.step);

    Judgement judgement;
    const Decision before = decision_;
    Fold(kept_.back(), judgement.signals);
    std::sort(judgement.signals.begin(), judgement.signals.end(), ByProbeThenKind);
    if (Differ(before, decision_)) judgement.decision = decision_;
    return judgement;
  }

  Judgement ObserveScalar(std::string_view name, Step step, double value) {
    const std::optional<std::int64_t> dropped = metrics_.Observe(name, step, value, order_++);
    const bool was_used = dropped && !kept_.empty() && *dropped < kept_.back().order;
    return was_used ? Refold(step) : Judgement();
  }

  Judgement ObserveSilence(double seconds) {
    const bool silent = seconds >= settings_.heartbeat_seconds;
    const bool firing = stalled_.state == SignalState::kFiring;
    if (silent == firing) return {};
    stalled_.state = silent ? SignalState::kFiring : SignalState::kResolved;
    stalled_.step = kept_.empty() ? Step{} : kept_.back().point.step;
    stalled_.reason = silent ? absl::StrFormat("no samples for %.0f s, where %.0f s are allowed",
                                               seconds, settings_.heartbeat_seconds)
                             : "samples arrive again";
    stalled_.evidence = {{"silent_seconds", seconds},
                         {"heartbeat_seconds", settings_.heartbeat_seconds}};
    return {{stalled_}, std::nullopt};
  }

  std::vector<Signal> signals() const {
    std::vector<Signal> signals = AllOfProbes();
    signals.insert(signals.begin(), stalled_);
    std::erase_if(signals, [](const Signal& s) { return s.state == SignalState::kInactive; });
    return signals;
  }

  const Decision& decision() const { return decision_; }

 private:
  struct Probe {
    Probe(const ProbeIdentity& identity, const SignalSettings& settings)
        : judge(identity, settings) {}
    ProbeJudge judge;
    Probe* other = nullptr;         // the same layer's other split
    std::optional<Step> last_step;  // of the kept points
  };
  // A point with its place in the order of arrival, which it shares with the scalars.
  struct Kept {
    std::int64_t order = 0;
    Probe* probe = nullptr;
    EstimatePoint point;
  };

  static bool ByProbeThenKind(const Signal& a, const Signal& b) {
    return std::tie(a.probe, a.kind) < std::tie(b.probe, b.kind);
  }

  static bool Differ(const Decision& a, const Decision& b) {
    return std::tie(a.verdict, a.best_step, a.signals) !=
           std::tie(b.verdict, b.best_step, b.signals);
  }

  std::vector<Signal> AllOfProbes() const {
    std::vector<Signal> signals;
    for (const auto& [name, probe] : probes_) {
      for (Signal& signal : probe.judge.signals()) signals.push_back(std::move(signal));
    }
    return signals;
  }

  void Fold(const Kept& kept, std::vector<Signal>& changed) {
    Probe& probe = *kept.probe;
    const Metrics::Moment now{kept.order, kept.point.step};
    probe.judge.Observe(kept.point, probe.other ? &probe.other->judge : nullptr, metrics_, now,
                        changed);
    if (probe.other) {
      const bool is_validation = probe.judge.identity().split == Split::kValidation;
      Probe& validation = is_validation ? probe : *probe.other;
      validation.judge.ComparePair(validation.other->judge, changed);
    }
    std::vector<FiringSignal> firing;
    for (const auto& [name, each] : probes_) {
      for (FiringSignal& signal : each.judge.firing()) firing.push_back(std::move(signal));
    }
    const bool stands =
        policy_.mode == PolicyMode::kEnforced && decision_.verdict == Verdict::kStop;
    if (stands) return;
    Decision decision = Decide(policy_, firing, metrics_, now);
    if (Differ(decision_, decision)) decision_ = std::move(decision);
  }

  // Judges the run again from what is kept, and returns what differs from before.
  Judgement Refold(Step back_to) {
    const std::vector<Signal> before = AllOfProbes();
    const Decision decision_before = decision_;
    decision_ = Decision();
    decision_.mode = policy_.mode;
    for (auto& [name, probe] : probes_) {
      probe.judge = ProbeJudge(ProbeIdentity(probe.judge.identity()), settings_);
    }
    std::vector<Signal> ignored;
    for (const Kept& kept : kept_) Fold(kept, ignored);

    Judgement judgement;
    const std::vector<Signal> after = AllOfProbes();
    for (std::size_t i = 0; i < after.size(); ++i) {
      const bool inactive =
          after[i].state == SignalState::kInactive && before[i].state == SignalState::kInactive;
      if (inactive || after[i] == before[i]) continue;
      judgement.signals.push_back(after[i]);
      Signal& signal = judgement.signals.back();
      if (!signal.reason.empty()) continue;
      signal.step = back_to;
      signal.reason =
          absl::StrFormat("the job went back to step %d, before this signal", back_to.value);
    }
    if (Differ(decision_before, decision_)) judgement.decision = decision_;
    return judgement;
  }

  SignalSettings settings_;
  PolicySettings policy_;
  std::map<std::string, Probe, std::less<>> probes_;
  std::vector<Kept> kept_;  // by order
  Metrics metrics_;
  std::int64_t order_ = 0;
  Signal stalled_;
  Decision decision_;
};

RunJudge::RunJudge(SignalSettings signals, PolicySettings policy)
    : impl_(std::make_unique<Impl>(signals, std::move(policy))) {}
RunJudge::~RunJudge() = default;
RunJudge::RunJudge(RunJudge&&) noexcept = default;
RunJudge& RunJudge::operator=(RunJudge&&) noexcept = default;

void RunJudge::AddProbe(const ProbeIdentity& probe) { impl_->AddProbe(probe); }

Judgement RunJudge::Observe(std::string_view probe, const EstimatePoint& point) {
  return impl_->Observe(probe, point);
}

Judgement RunJudge::ObserveScalar(std::string_view name, Step step, double value) {
  return impl_->ObserveScalar(name, step, value);
}

Judgement RunJudge::ObserveSilence(double seconds) { return impl_->ObserveSilence(seconds); }

std::vector<Signal> RunJudge::signals() const { return impl_->signals(); }

const Decision& RunJudge::decision() const { return impl_->decision(); }

}  // namespace dimwatch
