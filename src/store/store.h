// Where runs are kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/store/records.h"

namespace dimwatch {

// Which part of a series: a name ("" for all), closed bounds on the step, and a page. Pages are
// ordered by (step, name); `after` is the last key of the page before.
struct SeriesQuery {
  std::string name;
  std::optional<Step> min_step;
  std::optional<Step> max_step;
  std::optional<std::pair<Step, std::string>> after;
  bool with_scale_profile = false;  // only estimates that have one
  int limit = 1000;
};

using EventRecord = std::variant<EstimateRecord, ScalarRecord, SignalRecord, DecisionRecord,
                                 RewindRecord, StateRecord, AttentionRecord, SettingsRecord>;

// Thread-safe. Every call is atomic; a commit that returned OK survives kill -9. Errors: NOT_FOUND
// for an unknown run, DATA_LOSS for a damaged record, RESOURCE_EXHAUSTED for a full disk, INTERNAL
// for anything else the storage says.
class Store {
 public:
  virtual ~Store() = default;

  // Creates or updates the run and everything in `changes`.
  virtual absl::Status Commit(const RunChanges& changes) = 0;
  // The run is gone at once, also after kill -9; its records are removed by Purge.
  virtual absl::Status DeleteRun(const std::string& run_id) = 0;
  // Removes some records of deleted runs: so few that no commit waits long. False if none is left.
  virtual absl::StatusOr<bool> Purge() = 0;

  // All runs, oldest first. A run whose record cannot be read comes back with `damage` set.
  virtual absl::StatusOr<std::vector<RunRecord>> LoadRuns() = 0;

  virtual absl::StatusOr<std::vector<EstimateRecord>> ReadEstimates(const std::string& run_id,
                                                                    const SeriesQuery& query) = 0;
  virtual absl::StatusOr<std::vector<AttentionRecord>> ReadAttention(const std::string& run_id,
                                                                     const SeriesQuery& query) = 0;
  virtual absl::StatusOr<std::vector<ScalarRecord>> ReadScalars(const std::string& run_id,
                                                                const SeriesQuery& query) = 0;
  // By ascending cursor, from behind `after_cursor`, at most `limit`.
  virtual absl::StatusOr<std::vector<SignalRecord>> ReadSignals(const std::string& run_id,
                                                                std::int64_t after_cursor,
                                                                int limit) = 0;
  virtual absl::StatusOr<std::vector<DecisionRecord>> ReadDecisions(const std::string& run_id,
                                                                    std::int64_t after_cursor,
                                                                    int limit) = 0;
  virtual absl::StatusOr<std::vector<SettingsRecord>> ReadSettings(const std::string& run_id,
                                                                   std::int64_t after_cursor,
                                                                   int limit) = 0;
  // Every kind by ascending cursor. Voided estimates and scalars are gone from history; the rewind
  // that voided them stays. All scalars of one cursor come together, even beyond `limit`.
  virtual absl::StatusOr<std::vector<EventRecord>> ReadEvents(const std::string& run_id,
                                                              std::int64_t after_cursor,
                                                              int limit) = 0;
};

}  // namespace dimwatch
