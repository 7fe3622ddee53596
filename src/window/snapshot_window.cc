#include "src/window/snapshot_window.h"

#include <utility>

namespace dimwatch {

SnapshotWindow::SnapshotWindow(bool keep_previous, std::optional<Step> closed)
    : keep_previous_(keep_previous), newest_(closed) {}

WindowUpdate SnapshotWindow::Add(const WindowBatch& batch) {
  WindowUpdate update;
  const bool goes_back = newest_ && (batch.step < *newest_ || (batch.step == *newest_ && !open_));
  if (goes_back) {
    open_.reset();
    previous_first_seq_.reset();
    update.rewound_to = batch.step;
  } else if (newest_ && batch.step > *newest_) {
    if (std::optional<Cloud> cloud = Close()) update.clouds.push_back(std::move(*cloud));
  }

  newest_ = batch.step;
  if (!open_) open_.emplace(batch.seq, batch.dim);
  update.nonfinite_rows = DecodeRows(batch, open_->rows);
  open_->dropped_rows += batch.dropped_rows;
  open_->all_have_ids = open_->all_have_ids && !batch.sample_ids.empty();
  open_->sample_ids.insert(open_->sample_ids.end(), batch.sample_ids.begin(),
                           batch.sample_ids.end());
  if (batch.snapshot_end) update.clouds.push_back(std::move(*Close()));
  return update;
}

std::optional<Cloud> SnapshotWindow::Close() {
  if (!open_) return std::nullopt;
  if (keep_previous_) previous_first_seq_ = open_->first_seq;
  Cloud cloud{.step = *newest_,
              .rows = PointCloud(std::move(open_->rows), open_->dim),
              .sample_ids = {},
              .dropped_rows = open_->dropped_rows,
              .fill = 1};
  if (open_->all_have_ids) cloud.sample_ids = std::move(open_->sample_ids);
  open_.reset();
  return cloud;
}

std::optional<std::int64_t> SnapshotWindow::first_needed_seq() const {
  if (previous_first_seq_) return previous_first_seq_;
  return open_ ? std::optional(open_->first_seq) : std::nullopt;
}

std::int64_t SnapshotWindow::bytes() const {
  if (!open_) return 0;
  return static_cast<std::int64_t>(open_->rows.capacity() * sizeof(float) +
                                   open_->sample_ids.capacity() * sizeof(std::int64_t));
}

}  // namespace dimwatch
