#include "client/cli/replay_summary.h"

#include <algorithm>
#include <array>

#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

constexpr std::array<SignalKind, 6> kKinds = {SignalKind::kExhausted,  SignalKind::kOverfitting,
                                              SignalKind::kMemorizing, SignalKind::kGeneralizing,
                                              SignalKind::kCollapsed,  SignalKind::kDiverging};
constexpr const char* kNever = "-";

std::string StopText(const ReplaySummary& summary) {
  if (!summary.stop().has_value()) return kNever;
  const Decision& stop = *summary.stop();
  std::string text = std::to_string(stop.step.value);
  if (stop.best_step.has_value()) text += " (best " + std::to_string(stop.best_step->value) + ")";
  return text;
}

std::string FiredText(const ReplaySummary& summary, SignalKind kind) {
  const auto fired = summary.fired().find(kind);
  if (fired == summary.fired().end()) return kNever;
  return std::to_string(fired->second.step.value) + " " + fired->second.probe;
}

bool AllEqual(const std::vector<std::string>& cells) {
  return std::ranges::all_of(cells, [&](const auto& cell) { return cell == cells.front(); });
}

// What happened in a run, one cell a set of rules.
template <typename TextOf>
std::vector<std::string> Cells(const ComparedRun& run, TextOf text_of) {
  std::vector<std::string> cells;
  for (const ReplaySummary& summary : run.summaries) cells.push_back(text_of(summary));
  return cells;
}

void AddRow(const std::string& run, const std::string& event, std::vector<std::string> cells,
            Table& table) {
  std::vector<std::string> row = {run, event};
  const bool equal = AllEqual(cells);
  std::ranges::move(cells, std::back_inserter(row));
  row.emplace_back(equal ? "" : "*");
  table.Add(std::move(row));
}

// True where the sets of rules differ in the stop.
bool Differs(const ComparedRun& run) { return !AllEqual(Cells(run, StopText)); }

std::size_t CountStopped(const std::vector<ComparedRun>& runs, std::size_t rule) {
  return static_cast<std::size_t>(std::ranges::count_if(
      runs, [&](const ComparedRun& run) { return run.summaries[rule].stop().has_value(); }));
}

std::size_t CountFired(const std::vector<ComparedRun>& runs, std::size_t rule, SignalKind kind) {
  return static_cast<std::size_t>(std::ranges::count_if(
      runs, [&](const ComparedRun& run) { return run.summaries[rule].fired().contains(kind); }));
}

}  // namespace

void ReplaySummary::Add(const RunChanges& changes) {
  for (const EstimateRecord& record : changes.estimates) {
    last_step_ = std::max(last_step_, record.step);
  }
  for (const SignalRecord& record : changes.signals) {
    const Signal& signal = record.signal;
    if (signal.state != SignalState::kFiring) continue;
    fired_.try_emplace(signal.kind, Fired{signal.step, signal.probe});
  }
  for (const DecisionRecord& record : changes.decisions) Finish(record.decision);
}

void ReplaySummary::Finish(const Decision& decision) {
  if (!stop_.has_value() && decision.verdict == Verdict::kStop) stop_ = decision;
}

Json ReplaySummary::ToJson() const {
  Json json;
  json["stop_step"] = stop_.has_value() ? Json(stop_->step.value) : Json();
  const bool has_best = stop_.has_value() && stop_->best_step.has_value();
  json["best_step"] = has_best ? Json(stop_->best_step->value) : Json();
  json["reason"] = stop_.has_value() ? Json(stop_->reason) : Json();
  json["signals"] = Json::object();
  for (const auto& [kind, fired] : fired_) {
    json["signals"][std::string(Name(kind))] = {{"step", fired.step.value}, {"probe", fired.probe}};
  }
  json["rejected"] = rejected_;
  return json;
}

std::string CompareText(const std::vector<std::string>& rules, const std::vector<ComparedRun>& runs,
                        bool colored) {
  std::vector<std::string> header = {"RUN", "EVENT"};
  std::ranges::copy(rules, std::back_inserter(header));
  header.emplace_back("");
  Table table(header);
  for (const ComparedRun& run : runs) {
    AddRow(run.name, "STOP", Cells(run, StopText), table);
    for (const SignalKind kind : kKinds) {
      const auto cells = Cells(run, [&](const auto& summary) { return FiredText(summary, kind); });
      if (AllEqual(cells) && cells.front() == kNever) continue;
      AddRow("", std::string(Name(kind)), cells, table);
    }
  }
  const std::string total = std::to_string(runs.size()) + " runs";
  const auto counts = [&](auto count) {
    std::vector<std::string> cells;
    for (std::size_t rule = 0; rule < rules.size(); ++rule) {
      cells.push_back(std::to_string(count(rule)));
    }
    return cells;
  };
  AddRow(total, "STOP", counts([&](std::size_t rule) { return CountStopped(runs, rule); }), table);
  for (const SignalKind kind : kKinds) {
    AddRow("", std::string(Name(kind)),
           counts([&](std::size_t rule) { return CountFired(runs, rule, kind); }), table);
  }
  return table.ToString(colored);
}

std::string CompareJson(const std::vector<std::string>& rules,
                        const std::vector<ComparedRun>& runs) {
  std::string text;
  for (const ComparedRun& run : runs) {
    Json line = {{"type", "comparison"},
                 {"run", run.name},
                 {"last_step", run.summaries.front().last_step().value},
                 {"rules", Json::array()}};
    for (std::size_t rule = 0; rule < rules.size(); ++rule) {
      Json& entry = line["rules"].emplace_back();
      entry["rules"] = rules[rule];
      entry.update(run.summaries[rule].ToJson());
    }
    text += line.dump() + "\n";
  }
  Json summary = {{"type", "summary"},
                  {"runs", runs.size()},
                  {"differing", std::ranges::count_if(runs, Differs)},
                  {"rules", Json::array()}};
  for (std::size_t rule = 0; rule < rules.size(); ++rule) {
    Json& entry = summary["rules"].emplace_back();
    entry["rules"] = rules[rule];
    entry["stopped"] = CountStopped(runs, rule);
    for (const SignalKind kind : kKinds) {
      entry["signals"][std::string(Name(kind))] = CountFired(runs, rule, kind);
    }
  }
  return text + summary.dump() + "\n";
}

}  // namespace dimwatch::cli
