// One run from items to estimates to signals to a decision, in order of arrival.
//
// Guaranteed:
//  1. Deterministic: the same items in the same order give the same records (but for times and
//     durations), live, replayed from a trace, or after a crash, with any number of threads.
//  2. A pipeline made by Restore from what was stored, and then given the logged items again (those
//  up
//     to applied_seq through Rebuild), stands exactly where the lost one stood.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/monitor/admission.h"
#include "src/store/ingest_item.h"
#include "src/store/records.h"

namespace dimwatch {

// Not thread-safe: owned by the run's single writer. Uses the pool for estimates.
class RunPipeline {
 public:
  RunPipeline(RunRecord run, RunLimits limits, ThreadPool& pool, const Clock& clock);
  // `history` is what the store has: estimates and scalars by ascending cursor.
  static RunPipeline Restore(RunRecord run, RunLimits limits,
                             const std::vector<EventRecord>& history, ThreadPool& pool,
                             const Clock& clock);
  ~RunPipeline();
  RunPipeline(RunPipeline&&) noexcept;
  RunPipeline& operator=(RunPipeline&&) noexcept;

  // REQUIRES: the item was admitted and its seq is above run().applied_seq. Returns one commit per
  // point in time: usually none or one; two where a snapshot closed because a later step came.
  std::vector<RunChanges> Apply(const IngestItem& item);
  // An item at or below applied_seq: refills the windows only.
  void Rebuild(const IngestItem& item);
  // Closes open snapshots and ends the run.
  std::vector<RunChanges> Finish(bool failed);
  // The run has been silent for `seconds`.
  std::vector<RunChanges> ObserveSilence(double seconds);
  // New parameters: the series is judged from its beginning.
  std::vector<RunChanges> Rejudge(const SignalSettings& signals, const PolicySettings& policy);

  const RunRecord& run() const;
  const Decision& decision() const;
  std::vector<Signal> signals() const;
  // The newest estimate of each probe.
  std::vector<EstimateRecord> latest_estimates() const;
  // The newest value of each scalar.
  std::vector<ScalarRecord> latest_scalars() const;
  // Items from this seq on are needed to rebuild the windows.
  std::int64_t first_needed_seq() const;
  std::int64_t window_bytes() const;

 private:
  class Impl;
  explicit RunPipeline(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
