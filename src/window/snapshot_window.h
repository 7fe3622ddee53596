// All samples of one step: the cloud of a fixed probe set.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/window/window.h"

namespace dimwatch {

// Opens with the first batch of a step; closes with `snapshot_end`, with a batch of a later step,
// or with Close. A batch of an earlier step, or of a step that is closed, is a rewind: what is open
// is dropped and the batch opens a new snapshot.
// After a batch, the newest step and whether it is open depend on that batch alone.
class SnapshotWindow final : public Window {
 public:
  // `keep_previous`: the batches of the last closed snapshot are needed, too, as long as no rewind
  // came. `closed`: the last closed step.
  SnapshotWindow(bool keep_previous, std::optional<Step> closed);

  WindowUpdate Add(const WindowBatch& batch) override;
  WindowUpdate Refill(const WindowBatch& batch) override { return Add(batch); }
  std::optional<Cloud> Close() override;
  std::optional<std::int64_t> first_needed_seq() const override;
  std::int64_t bytes() const override;

 private:
  struct OpenSnapshot {
    OpenSnapshot(std::int64_t seq, std::size_t components) : first_seq(seq), dim(components) {}
    std::int64_t first_seq;
    std::vector<float> rows;
    std::vector<std::int64_t> sample_ids;
    bool all_have_ids = true;
    std::int64_t dropped_rows = 0;
    std::size_t dim;
  };

  const bool keep_previous_;
  std::optional<Step> newest_;  // open or closed
  std::optional<OpenSnapshot> open_;
  std::optional<std::int64_t> previous_first_seq_;
};

}  // namespace dimwatch
