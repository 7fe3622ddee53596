#include "src/monitor/history.h"

#include <algorithm>
#include <variant>

namespace dimwatch {
namespace {

struct Teller {
  RunJudge& judge;
  const RunRecord& run;

  void operator()(const EstimateRecord& record) const {
    judge.Observe(record.probe, PointOf(record));
  }
  void operator()(const ScalarRecord& record) const {
    judge.ObserveScalar(record.name, record.step, record.value);
  }
  void operator()(const RewindRecord& record) const {
    if (IsJudged(record.probe)) judge.Observe(record.probe, VoidedFrom(record.step));
  }
  void operator()(const SignalRecord& record) const {
    if (record.signal.kind != SignalKind::kStalled) return;
    judge.ObserveSilence(record.signal.state == SignalState::kFiring ? run.signals.heartbeat_seconds
                                                                     : 0);
  }
  void operator()(const AttentionRecord&) const {}
  void operator()(const DecisionRecord&) const {}
  void operator()(const StateRecord&) const {}
  void operator()(const SettingsRecord&) const {}

  bool IsJudged(const std::string& probe) const {
    return std::ranges::any_of(run.probes, [&](const ProbeSettings& settings) {
      return settings.identity.name == probe && !settings.attention;
    });
  }
};

const Signal* Find(const std::vector<Signal>& signals, const Signal& like) {
  const auto found = std::ranges::find_if(signals, [&](const Signal& signal) {
    return signal.probe == like.probe && signal.kind == like.kind;
  });
  return found == signals.end() ? nullptr : &*found;
}

}  // namespace

EstimatePoint PointOf(const EstimateRecord& record) {
  return {.step = record.step,
          .complete = record.complete,
          .mean = record.estimate.mean,
          .standard_error = record.estimate.standard_error,
          .paired_change = record.paired_change,
          .paired_change_standard_error = record.paired_change_standard_error,
          .rows = record.estimate.rows,
          .nonfinite_rows = record.estimate.nonfinite_rows,
          .duplicate_rows = record.estimate.duplicate_rows,
          .variance = record.estimate.variance};
}

EstimatePoint VoidedFrom(Step step) {
  EstimatePoint point;
  point.step = step;
  point.complete = false;
  return point;
}

RunJudge JudgeHistory(const RunRecord& run, const std::vector<EventRecord>& history) {
  RunJudge judge(run.signals, run.policy);
  for (const ProbeSettings& probe : run.probes) {
    if (!probe.attention) judge.AddProbe(probe.identity);
  }
  for (const EventRecord& event : history) {
    std::visit(Teller{judge, run}, event);
  }
  return judge;
}

std::vector<Signal> ChangedSignals(const std::vector<Signal>& before,
                                   const std::vector<Signal>& after) {
  std::vector<Signal> changed;
  for (const Signal& signal : after) {
    const Signal* was = Find(before, signal);
    if (!was || was->state != signal.state) changed.push_back(signal);
  }
  for (const Signal& signal : before) {
    if (Find(after, signal)) continue;
    changed.push_back({.probe = signal.probe,
                       .kind = signal.kind,
                       .state = SignalState::kInactive,
                       .step = signal.step,
                       .reason = "the parameters of the signals were changed",
                       .evidence = {}});
  }
  return changed;
}

}  // namespace dimwatch
