// One run from items to estimates to signals to a decision, in order of arrival.
//
// Guaranteed:
//  1. Deterministic: the same items in the same order give the same records (but for times and
//     durations), live, replayed from a trace, or after a crash, with any number of threads.
//  2. A pipeline made by Restore from what was stored, and then given the logged items again (those
//     up to applied_seq through Rebuild, the others through Apply), stands exactly where the lost
//     one stood. Whatever an item changes comes as one RunChanges, committed as one, whose run says
//     that the item is applied; an item of which no record came may be applied again.
//  3. Items applied together give the records that they give one by one, as one RunChanges.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/knn/engine_choice.h"
#include "src/monitor/admission.h"
#include "src/store/ingest_item.h"
#include "src/store/records.h"
#include "src/store/store.h"

namespace dimwatch {

// Not thread-safe: owned by the run's single writer. Uses the pool for estimates.
class RunPipeline {
 public:
  // `costs` decide which engine is used where the settings leave that open: to be the same wherever
  // the same records are to come out.
  RunPipeline(RunRecord run, ThreadPool& pool, const Clock& clock, const EngineCosts& costs = {});
  // `history` is what the store has of the run: all events by ascending cursor.
  static RunPipeline Restore(RunRecord run, const std::vector<EventRecord>& history,
                             ThreadPool& pool, const Clock& clock, const EngineCosts& costs = {});
  ~RunPipeline();
  RunPipeline(RunPipeline&&) noexcept;
  RunPipeline& operator=(RunPipeline&&) noexcept;

  // REQUIRES: the item was admitted, its seq is above run().applied_seq, and the run has not ended.
  // None if nothing came of it that must be kept. A silent run is RUNNING again.
  std::optional<RunChanges> Apply(const IngestItem& item);
  // The same of items that are one ItemGroup, in order; estimates their clouds side by side.
  std::optional<RunChanges> ApplyTogether(std::span<const IngestItem* const> items);
  // An item at or below applied_seq: refills the windows only.
  void Rebuild(const IngestItem& item);
  // Closes open snapshots and ends the run.
  RunChanges Finish(bool failed);
  // The run has been silent for `seconds`; beyond its heartbeat it becomes STALE. 0: it speaks
  // again.
  std::optional<RunChanges> ObserveSilence(double seconds);
  // New parameters by `author`: the series is judged from its beginning. `history` as for Restore.
  RunChanges Rejudge(const SignalSettings& signals, const PolicySettings& policy,
                     const std::string& author, const std::vector<EventRecord>& history);
  // New names, labels and session: what no estimate depends on. The change of the record alone.
  RunChanges Describe(std::string display_name, std::map<std::string, std::string> labels);
  RunChanges ObserveSession(std::int64_t session_epoch);

  const RunRecord& run() const;
  const Decision& decision() const;
  absl::Time decision_time() const;
  std::vector<Signal> signals() const;
  // The newest estimate of each probe; none of a probe whose newest was voided by a rewind.
  std::vector<EstimateRecord> latest_estimates() const;
  // The newest of each probe that carries a scale profile, likewise.
  std::vector<EstimateRecord> latest_profiles() const;
  // The newest of each probe of attention maps, likewise.
  std::vector<AttentionRecord> latest_attention() const;
  // The newest value of each scalar.
  std::vector<ScalarRecord> latest_scalars() const;
  // Items from this seq on are needed to rebuild the windows.
  std::int64_t first_needed_seq() const;
  std::int64_t window_bytes() const;
  // Rows, and prompts, given to Apply that held a NaN or an infinity.
  std::int64_t nonfinite_rows() const;

 private:
  class Impl;
  explicit RunPipeline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
