// What `dimwatch watch` shows on a terminal: the run as one block that is redrawn in place.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dimwatch/v1/query.pb.h"

namespace dimwatch::cli {

class WatchView {
 public:
  explicit WatchView(std::string run_id) : run_id_(std::move(run_id)) {}

  void Apply(const v1::WatchRunResponse& event);
  // The block: a table of the newest estimate of each probe with the course of its mean, the newest
  // of its attention maps, the newest scalars, the last signals, the decision. At most `lines` of
  // at most `columns`.
  std::string Draw(bool colored, std::size_t columns, std::size_t lines) const;

 private:
  struct Probe {
    std::vector<std::pair<std::int64_t, std::optional<double>>> means;  // by step
    v1::Estimate newest;
  };
  void Rewind(const v1::Rewind& rewind);

  const std::string run_id_;
  v1::RunState state_ = v1::RUN_STATE_RUNNING;
  std::map<std::string, Probe> probes_;
  std::map<std::string, v1::AttentionEstimate> attention_;          // newest
  std::map<std::string, std::pair<std::int64_t, double>> scalars_;  // newest: step and value
  std::deque<v1::Signal> signals_;                                  // the last few
  v1::Decision decision_;
};

// Puts a block onto a terminal over the one before it. `previous_lines`: of that one; 0 at first.
// Returns the text to print.
std::string Redraw(const std::string& block, std::size_t previous_lines);

}  // namespace dimwatch::cli
