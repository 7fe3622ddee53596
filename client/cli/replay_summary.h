// What came of a replay in one look, and of many replays under two sets of rules side by side.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/json.h"
#include "client/cli/replayer.h"

namespace dimwatch::cli {

// Keeps of a replay when each signal fired first, and the first STOP: a job that heeds it ends
// there.
class ReplaySummary : public ReplaySink {
 public:
  struct Fired {
    Step step;
    std::string probe;
  };

  void Add(const RunChanges& changes) override;
  void Rejected(Step, const std::string&, const std::string&) override { ++rejected_; }
  void Finish(const Decision& decision) override;

  const std::map<SignalKind, Fired>& fired() const { return fired_; }
  // The first STOP, or none.
  const std::optional<Decision>& stop() const { return stop_; }
  // The largest step of any estimate.
  Step last_step() const { return last_step_; }
  // {"stop_step", "best_step", "reason", "signals": {name: {"step", "probe"}}, "rejected"}; null
  // where nothing stopped the run.
  Json ToJson() const;

 private:
  std::map<SignalKind, Fired> fired_;
  std::optional<Decision> stop_;
  Step last_step_;
  int rejected_ = 0;
};

// One recording under several sets of rules.
struct ComparedRun {
  std::string name;
  std::vector<ReplaySummary> summaries;  // one a set of rules
};

// A table for people: one line a run and event, the sets of rules side by side, "*" where they
// differ; then how often each event came. `rules` are the names of the sets.
std::string CompareText(const std::vector<std::string>& rules, const std::vector<ComparedRun>& runs,
                        bool colored);
// JSON lines: {"type":"comparison","run","last_step","rules":[{"rules", ToJson()...}]} each run,
// and
// {"type":"summary","runs","differing","rules":[{"rules","stopped","signals":{name: runs}}]}.
std::string CompareJson(const std::vector<std::string>& rules,
                        const std::vector<ComparedRun>& runs);

}  // namespace dimwatch::cli
