#include "src/signal/probe_judge.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dimwatch {

ProbeJudge::ProbeJudge(const ProbeIdentity& identity, const SignalSettings& settings)
    : identity_(identity), settings_(settings), course_(settings) {
  for (const SignalKind kind :
       {SignalKind::kExhausted, SignalKind::kOverfitting, SignalKind::kMemorizing,
        SignalKind::kGeneralizing, SignalKind::kCollapsed, SignalKind::kDiverging}) {
    Signal signal;
    signal.probe = identity.name;
    signal.kind = kind;
    judged_.push_back({Debounce(settings.patience, settings.cooldown), std::move(signal), {}});
  }
}

void ProbeJudge::Observe(const EstimatePoint& point, const ProbeJudge* other,
                         const Metrics& metrics, const Metrics::Moment& now,
                         std::vector<Signal>& changed) {
  if (CountsForCollapse(settings_, point)) JudgeCollapse(point, changed);
  if (!point.complete || !point.mean || !std::isfinite(*point.mean)) {
    course_.BreakChain();
    return;
  }
  course_.Observe(point);
  JudgeCourse(other, metrics, now, changed);
}

void ProbeJudge::JudgeCollapse(const EstimatePoint& point, std::vector<Signal>& changed) {
  collapse_.peak_variance = std::max(collapse_.peak_variance, point.variance);
  const Finding finding = FindCollapsed(settings_, collapse_, point);
  if (!finding.holds) collapse_.last_sound = point.step;
  Judge(SignalKind::kCollapsed, finding, point.step, ++collapse_count_, changed);
}

void ProbeJudge::JudgeCourse(const ProbeJudge* other, const Metrics& metrics,
                             const Metrics::Moment& now, std::vector<Signal>& changed) {
  // A split that is no longer watched says nothing about the present.
  const bool compare =
      other && other->course_.count() > 0 && other->course_.current().step >= course_.horizon();
  ProbeView view{.settings = settings_,
                 .split = identity_.split,
                 .course = course_,
                 .other = compare ? &other->course_ : nullptr,
                 .other_name = compare ? std::string_view(other->identity_.name) : "",
                 .has_generalized = has_generalized_,
                 .metrics = metrics,
                 .now = now};
  const auto judge = [&](SignalKind kind, const Finding& finding) {
    Judge(kind, finding, now.step, course_.count(), changed);
  };
  judge(SignalKind::kGeneralizing, FindGeneralizing(view));
  has_generalized_ = has_generalized_ || StateOf(SignalKind::kGeneralizing) == SignalState::kFiring;
  view.has_generalized = has_generalized_;
  judge(SignalKind::kMemorizing, FindMemorizing(view));
  judge(SignalKind::kOverfitting, FindOverfitting(view));
  judge(SignalKind::kExhausted, FindExhausted(view));
}

void ProbeJudge::ComparePair(const ProbeJudge& train, std::vector<Signal>& changed) {
  if (course_.count() == 0 || train.course_.count() == 0) return;
  const Step step = course_.current().step;
  if (train.course_.current().step != step || compared_ == step) return;
  compared_ = step;
  const std::optional<SplitGap> gap = GapOf(train.course_.current(), course_.current());
  if (!gap) return;
  if (!closest_gap_ || std::abs(gap->log_ratio) < std::abs(closest_gap_->log_ratio)) {
    closest_gap_ = gap;
  }
  Judge(SignalKind::kDiverging, FindDiverging(settings_, *closest_gap_, *gap), step, ++gap_count_,
        changed);
}

void ProbeJudge::Judge(SignalKind kind, const Finding& finding, Step step, std::int64_t estimates,
                       std::vector<Signal>& changed) {
  Judged& judged = judged_[static_cast<std::size_t>(kind)];
  const SignalState before = judged.debounce.state();
  const SignalState after = judged.debounce.Observe(finding.holds, estimates > settings_.warmup);
  if (after == before) return;
  judged.signal.state = after;
  judged.signal.step = step;
  judged.signal.reason = finding.reason;
  judged.signal.evidence = finding.evidence;
  if (after == SignalState::kFiring) judged.best_step = finding.best_step;
  changed.push_back(judged.signal);
}

SignalState ProbeJudge::StateOf(SignalKind kind) const {
  return judged_[static_cast<std::size_t>(kind)].debounce.state();
}

std::vector<Signal> ProbeJudge::signals() const {
  std::vector<Signal> signals;
  for (const Judged& judged : judged_) signals.push_back(judged.signal);
  return signals;
}

std::vector<FiringSignal> ProbeJudge::firing() const {
  std::vector<FiringSignal> firing;
  for (const Judged& judged : judged_) {
    if (judged.signal.state != SignalState::kFiring) continue;
    firing.push_back({identity_.name, judged.signal.kind, judged.signal.reason, judged.best_step,
                      course_.count() > 0 ? course_.horizon() : Step{}});
  }
  return firing;
}

}  // namespace dimwatch
