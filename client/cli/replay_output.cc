#include "client/cli/replay_output.h"

#include <cstdio>
#include <map>
#include <vector>

#include "client/cli/attention_text.h"
#include "client/cli/json.h"
#include "client/cli/scale_text.h"

namespace dimwatch::cli {
namespace {

void PrintLine(const Json& json) { std::printf("%s\n", json.dump().c_str()); }

std::string Text(std::int64_t number) { return std::to_string(number); }

std::string DecisionText(const Decision& decision) {
  std::string text = std::string(Name(decision.verdict)) + " at step " + Text(decision.step.value) +
                     ": " + decision.reason;
  if (decision.best_step.has_value()) {
    text += " (best step " + Text(decision.best_step->value) + ")";
  }
  return text;
}

std::string SignalText(const Signal& signal) {
  return "step " + Text(signal.step.value) + "  " + std::string(Name(signal.kind)) + " " +
         std::string(Name(signal.state)) + (signal.probe.empty() ? "" : " on " + signal.probe) +
         ": " + signal.reason;
}

}  // namespace

ReplayOutput::ReplayOutput(bool json)
    : json_(json),
      table_({"STEP", "PROBE", "LID (mean ± s.e.)", "n", "L", "SETTINGS", "FILL", "COMPLETE",
              "SIGNALS"}) {}

void ReplayOutput::Add(const RunChanges& changes) {
  std::map<std::int64_t, std::vector<Json>> lines;  // by cursor: in the order of events
  for (const RewindRecord& rewind : changes.rewinds) {
    const std::string& series = rewind.probe.empty() ? rewind.scalar : rewind.probe;
    lines[rewind.cursor].push_back(RewindJson(rewind.step.value, series));
    events_ += "step " + Text(rewind.step.value) + "  " + series + " goes on from here again\n";
  }
  for (const ScalarRecord& record : changes.scalars) {
    lines[record.cursor].push_back(ScalarJson(record.step.value, record.name, record.value));
  }
  for (const EstimateRecord& record : changes.estimates) {
    lines[record.cursor].push_back(ToJson(record));
    if (record.scale_profile) {
      lines[record.cursor].push_back(ScaleJson(record));
      events_ += "step " + Text(record.step.value) + "  scale profile of " + record.probe + "\n" +
                 ScaleText(*record.scale_profile, StdoutIsColored());
    }
    AddRow(record, changes.signals);
  }
  for (const AttentionRecord& record : changes.attention) {
    lines[record.cursor].push_back(ToJson(record));
    events_ += AttentionLine(record) + "\n";
  }
  for (const SignalRecord& record : changes.signals) {
    lines[record.cursor].push_back(ToJson(record.signal));
    events_ += SignalText(record.signal) + "\n";
  }
  for (const DecisionRecord& record : changes.decisions) {
    lines[record.cursor].push_back(ToJson(record.decision));
    events_ += "decision: " + DecisionText(record.decision) + "\n";
  }
  if (!json_) return;
  for (const auto& [cursor, events] : lines) {
    for (const Json& event : events) PrintLine(event);
  }
}

void ReplayOutput::AddRow(const EstimateRecord& record, const std::vector<SignalRecord>& signals) {
  const CloudEstimate& estimate = record.estimate;
  std::string changed;
  for (const SignalRecord& signal : signals) {
    if (signal.signal.probe != record.probe) continue;
    changed += (changed.empty() ? "" : ", ") + std::string(Name(signal.signal.kind)) + " " +
               std::string(Name(signal.signal.state));
  }
  const EstimatorSettings& settings = estimate.settings;
  table_.Add({Text(record.step.value), record.probe,
              MeanText(estimate.mean, estimate.standard_error), Text(estimate.queries),
              Text(settings.neighbors),
              SettingsText(Name(settings.estimator), Name(settings.cdf), Name(settings.fit),
                           Name(settings.index), estimate.recall, estimate.bias_bound),
              FillText(record.window_fill), CompleteText(record.complete, record.incomplete_reason),
              changed});
}

void ReplayOutput::Rejected(Step step, const std::string& probe, const std::string& reason) {
  events_ += "step " + Text(step.value) + "  rejected: " + reason + "\n";
  if (!json_) return;
  PrintLine({{"type", "rejected"}, {"step", step.value}, {"probe", probe}, {"reason", reason}});
}

void ReplayOutput::Finish(const Decision& decision) {
  if (json_) {
    PrintLine(ToJson(decision));
    return;
  }
  std::printf("%s", table_.ToString(StdoutIsColored()).c_str());
  if (!events_.empty()) std::printf("\n%s", events_.c_str());
  std::printf("\n%s\n", DecisionText(decision).c_str());
}

}  // namespace dimwatch::cli
