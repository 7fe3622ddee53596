// One probe of attention maps: from its batches to its estimates.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/base/clock.h"
#include "src/store/ingest_item.h"
#include "src/store/records.h"

namespace dimwatch {

// As ProbeTrack and SnapshotWindow, for a probe with ProbeSettings::attention: all prompts of a
// step, until `snapshot_end`, a batch of a later step, or Close; a batch of an earlier step, or of
// one that is closed, is a rewind. What later steps are compared with, the baseline, is in its own
// record, so that the log is needed for the open step alone. Not thread-safe: owned by the run's
// single writer.
class AttentionTrack {
 public:
  // REQUIRES: settings.attention.
  AttentionTrack(ProbeSettings settings, const Clock& clock);

  // What one batch did. A rewind comes before the estimates.
  struct Update {
    std::optional<Step> rewound_to;
    std::vector<AttentionRecord> estimates;  // without cursors, by ascending step
    std::int64_t invalid_prompts = 0;        // of the batch
  };
  Update Add(const AttentionItem& item);
  // Estimates the open step, if there is one: the run ends.
  std::optional<AttentionRecord> Close();

  // A stored estimate, or a stored rewind, in the order of history.
  void RestoreEstimate(AttentionRecord record);
  void RestoreRewind(Step step) { Void(step); }
  // A batch whose estimates are in the store.
  void Refill(const AttentionItem& item);

  const ProbeSettings& settings() const { return settings_; }
  // The newest estimate; none before the first, or where a rewind voided it.
  const std::optional<AttentionRecord>& latest() const { return latest_; }
  // Items from this seq on are needed to refill the probe.
  std::optional<std::int64_t> first_needed_seq() const;
  std::int64_t bytes() const;

 private:
  struct OpenStep {
    Step step;
    std::int64_t first_seq = 0;
    std::vector<PromptDimension> prompts;  // valid ones, in order of arrival
    bool all_have_ids = true;
    std::int64_t invalid = 0;
    std::int64_t dropped = 0;
  };
  struct Baseline {
    Step step;
    std::vector<PromptDimension> prompts;
  };
  struct Taken {
    std::optional<Step> rewound_to;
    std::vector<OpenStep> closed;
    std::int64_t invalid_prompts = 0;
  };

  Taken Take(const AttentionItem& item);
  void AddPrompts(const AttentionItem& item, OpenStep& open) const;
  // Forgets what a rewind to `step` makes void.
  void Void(Step step);
  AttentionRecord Estimate(OpenStep closed);
  void CompareWithBaseline(OpenStep closed, AttentionRecord& record);

  ProbeSettings settings_;
  const Clock& clock_;
  std::optional<Step> newest_;  // open or closed
  std::optional<OpenStep> open_;
  std::optional<Baseline> baseline_;
  std::optional<AttentionRecord> latest_;
};

}  // namespace dimwatch
