#include "client/cli/replayer.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "src/monitor/history.h"
#include "src/signal/judge.h"

namespace dimwatch::cli {
namespace {

absl::Status CheckProbes(const ReplayConfig& config, const std::vector<std::string>& recorded) {
  for (const ReplayConfig::Probe& probe : config.probes) {
    const std::string& name = probe.settings.identity.name;
    if (std::ranges::find(recorded, name) != recorded.end()) continue;
    return absl::InvalidArgumentError("the configuration names probe '" + name +
                                      "', which the recording does not have");
  }
  return absl::OkStatus();
}

std::vector<std::string> ProbesOf(const std::vector<TraceStep>& trace) {
  std::vector<std::string> probes;
  for (const TraceStep& step : trace) {
    for (const TraceSamples& samples : step.samples) probes.push_back(samples.probe);
  }
  return probes;
}

// Tells a judge of one event after the other, and a sink of what comes of it.
class CourseTeller {
 public:
  CourseTeller(RunJudge& judge, ReplaySink& sink) : judge_(judge), sink_(sink) {}

  void operator()(EstimateRecord record) {
    RunChanges changes;
    record.cursor = ++cursor_;
    const Judgement judgement = judge_.Observe(record.probe, PointOf(record));
    changes.estimates.push_back(std::move(record));
    Tell(judgement, std::move(changes));
  }
  void operator()(ScalarRecord record) {
    RunChanges changes;
    record.cursor = ++cursor_;
    const Judgement judgement = judge_.ObserveScalar(record.name, record.step, record.value);
    changes.scalars.push_back(std::move(record));
    Tell(judgement, std::move(changes));
  }
  void operator()(RewindRecord record) {
    RunChanges changes;
    record.cursor = ++cursor_;
    Judgement judgement;
    if (!record.probe.empty()) judgement = judge_.Observe(record.probe, VoidedFrom(record.step));
    changes.rewinds.push_back(std::move(record));
    Tell(judgement, std::move(changes));
  }
  template <typename Other>
  void operator()(const Other&) {}

 private:
  void Tell(const Judgement& judgement, RunChanges changes) {
    for (const Signal& signal : judgement.signals) {
      changes.signals.push_back({++cursor_, signal, {}});
    }
    if (judgement.decision.has_value()) {
      changes.decisions.push_back({++cursor_, *judgement.decision, {}});
    }
    sink_.Add(changes);
  }

  RunJudge& judge_;
  ReplaySink& sink_;
  std::int64_t cursor_ = 0;
};

}  // namespace

void ReplayCourse(const RecordedCourse& course, const ReplayConfig& config, ReplaySink& sink) {
  RunJudge judge(config.signals, config.policy);
  for (const std::string& name : course.probes) {
    judge.AddProbe(ResolveDefaults(config.ProbeNamed(name).settings).identity);
  }
  CourseTeller teller(judge, sink);
  for (const EventRecord& event : course.events) std::visit(teller, event);
  sink.Finish(judge.decision());
}

absl::Status Replay(const std::filesystem::path& recording, const ReplayConfig& config,
                    const EstimatorFlags& flags, int threads, ReplaySink& sink) {
  if (absl::Status status = Validate(config.signals); !status.ok()) return status;
  if (absl::Status status = Validate(config.policy); !status.ok()) return status;
  if (std::filesystem::is_regular_file(recording)) {
    const absl::StatusOr<RecordedCourse> course = ReadRecordedCourse(recording);
    if (!course.ok()) return course.status();
    if (absl::Status status = CheckProbes(config, course->probes); !status.ok()) return status;
    ReplayCourse(*course, config, sink);
    return absl::OkStatus();
  }
  const absl::StatusOr<std::vector<TraceStep>> trace = ReadTrace(recording);
  if (!trace.ok()) return trace.status();
  if (absl::Status s = CheckProbes(config, ProbesOf(*trace)); !s.ok()) return s;
  return ReplayTrace(*trace, config, flags, threads, sink);
}

}  // namespace dimwatch::cli
