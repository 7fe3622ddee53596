// What survives a restart. Plain values; `cursor` is the position of a record in its run's history,
// strictly increasing over all kinds. A series holds one record per step: a probe's estimates (of
// its LID, or of its attention) and a name's scalars are voided by a rewind before a step comes
// again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "src/attention/estimate.h"
#include "src/base/types.h"
#include "src/lid/cloud_estimate.h"
#include "src/lid/scale_profile.h"
#include "src/signal/types.h"
#include "src/window/settings.h"

namespace dimwatch {

enum class RunState { kRunning, kFinished, kFailed, kStale };

// "RUNNING", "FINISHED", "FAILED", "STALE".
std::string_view Name(RunState state);

struct RunRecord {
  std::string run_id;
  std::string project;
  std::string display_name;
  std::map<std::string, std::string> labels;
  std::string user;
  std::string hyperparameters_json;
  SignalSettings signals;
  PolicySettings policy;
  std::vector<ProbeSettings> probes;  // in the order of declaration

  RunState state = RunState::kRunning;
  absl::Time create_time;
  std::optional<absl::Time> end_time;
  std::optional<absl::Time> last_sample_time;
  std::optional<Step> last_step;
  std::int64_t session_epoch = 0;  // newest session seen
  std::int64_t applied_seq = 0;    // everything up to here is reflected in the records
  std::int64_t next_cursor = 1;
  std::string damage;             // why the run was set aside; empty for a sound one
  std::int64_t stored_bytes = 0;  // of its records, about: what was written of them so far
};

struct EstimateRecord {
  std::int64_t cursor = 0;
  std::string probe;
  Step step;
  bool complete = true;
  std::string incomplete_reason;
  CloudEstimate estimate;
  double window_fill = 1;
  std::optional<double> rolling_mean;
  std::optional<double> paired_change;
  std::optional<double> paired_change_standard_error;
  std::optional<ScaleProfile> scale_profile;  // ProbeSettings::scale_every
  // Why fewer points were averaged over than the probe asks for, in one sentence; empty: not so.
  std::string subsampled_reason;
  absl::Time create_time;
};

struct AttentionRecord {
  std::int64_t cursor = 0;
  std::string probe;
  Step step;
  bool complete = true;
  std::string incomplete_reason;
  AttentionEstimate estimate;
  // Since the probe's first complete estimate whose prompts are known again: the baseline.
  std::optional<Step> baseline_step;
  std::optional<AttentionChange> baseline_change;
  std::vector<PromptDimension> baseline;  // of the baseline itself: what later steps compare with
  absl::Time create_time;
};

struct ScalarRecord {
  std::int64_t cursor = 0;  // shared by the scalars of one batch
  std::string name;
  Step step;
  double value = 0;
};

struct SignalRecord {
  std::int64_t cursor = 0;
  Signal signal;
  absl::Time create_time;
};

struct DecisionRecord {
  std::int64_t cursor = 0;
  Decision decision;
  absl::Time create_time;
};

// The job went back: the series lost everything from `step` on.
struct RewindRecord {
  std::int64_t cursor = 0;
  std::string probe;   // exactly one of the two
  std::string scalar;  // is not empty
  Step step;
};

// The run's state changed.
struct StateRecord {
  std::int64_t cursor = 0;
  RunState state = RunState::kRunning;
  absl::Time create_time;
};

// Somebody changed how the run is judged.
struct SettingsRecord {
  std::int64_t cursor = 0;
  std::string author;
  std::optional<Step> step;  // RunRecord::last_step at that time
  SignalSettings old_signals;
  SignalSettings new_signals;
  PolicySettings old_policy;
  PolicySettings new_policy;
  absl::Time create_time;
};

// What one or several items did to a run; committed as one. Within a commit `rewinds` delete older
// records only: estimates and scalars of the same commit are written after them, and the writer
// never puts a rewind and points that it voids into one commit.
struct RunChanges {
  RunRecord run;  // as it stands after the changes
  std::vector<RewindRecord> rewinds;
  std::vector<EstimateRecord> estimates;
  std::vector<AttentionRecord> attention;
  std::vector<ScalarRecord> scalars;
  std::vector<SignalRecord> signals;
  std::vector<DecisionRecord> decisions;
  std::vector<StateRecord> states;
  std::vector<SettingsRecord> settings;
};

// What the records of `changes` take in the database, about, in bytes (docs/operations.md).
std::int64_t StoredBytes(const RunChanges& changes);

}  // namespace dimwatch
