// One probe of a run: from its batches to its estimates.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/lid/cloud_estimate.h"
#include "src/monitor/paired_change.h"
#include "src/store/ingest_item.h"
#include "src/store/records.h"
#include "src/window/window.h"

namespace dimwatch {

// The rolling mean of an estimate covers so many complete means, itself included.
inline constexpr std::size_t kRollingMeanEstimates = 5;

// Where a probe was before the process began is told by RestoreEstimate and RestoreRewind, then
// Refill; the rest by Add and Close. Not thread-safe: owned by the run's single writer.
class ProbeTrack {
 public:
  ProbeTrack(ProbeSettings settings, ThreadPool& pool, const Clock& clock,
             const EngineCosts& costs);

  // What one batch did. A rewind comes before the estimates.
  struct Update {
    std::optional<Step> rewound_to;
    std::vector<EstimateRecord> estimates;  // without cursors, by ascending step
    std::int64_t nonfinite_rows = 0;        // of the batch
  };
  Update Add(const SampleItem& item);
  // Estimates the open snapshot, if there is one: the run ends.
  std::optional<EstimateRecord> Close();

  // A stored estimate, or a stored rewind, in the order of history.
  void RestoreEstimate(EstimateRecord record);
  void RestoreRewind(Step step);
  // A batch whose estimates are in the store.
  void Refill(const SampleItem& item);

  const ProbeSettings& settings() const { return settings_; }
  // The newest estimate; none before the first, or where a rewind voided it.
  const std::optional<EstimateRecord>& latest() const { return latest_; }
  // The newest that carries a scale profile, likewise.
  const std::optional<EstimateRecord>& latest_profile() const { return latest_profile_; }
  // Items from this seq on are needed to refill the probe.
  std::optional<std::int64_t> first_needed_seq() const;
  std::int64_t bytes() const;

 private:
  struct SeriesPoint {
    Step step;
    std::optional<double> complete_mean;
  };

  Window& window();
  WindowBatch BatchOf(const SampleItem& item);
  // With no more queries than `item` allows, if there is one.
  EstimateRecord Estimate(const Cloud& cloud, const SampleItem* item);
  absl::StatusOr<CloudEstimate> EstimateOf(const Cloud& cloud, const EstimatorSettings& settings,
                                           PointwiseLid& pointwise);
  void AddPairedChange(const PointwiseLid& pointwise, const Cloud& cloud, EstimateRecord& record);
  void Append(const EstimateRecord& record);
  void Note(EstimateRecord record);
  // Whether the next estimate gets a scale profile: it follows from how many there are.
  bool ScaleIsDue() const;
  std::optional<double> RollingMean() const;

  ProbeSettings settings_;
  ThreadPool& pool_;
  const Clock& clock_;
  const EngineOptions engines_;
  std::unique_ptr<Window> window_;   // made when the first batch comes
  std::vector<SeriesPoint> series_;  // by ascending step
  std::optional<EstimateRecord> latest_;
  std::optional<EstimateRecord> latest_profile_;
  // Aligned probes: the last snapshot since the last rewind. Refilled ones are kept as a cloud
  // until the next snapshot is to be compared with them.
  std::optional<SnapshotLids> previous_;
  std::optional<Cloud> refilled_previous_;
};

}  // namespace dimwatch
