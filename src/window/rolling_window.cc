#include "src/window/rolling_window.h"

#include <algorithm>
#include <utility>

namespace dimwatch {

RollingWindow::RollingWindow(std::int64_t window_points, std::int64_t estimate_every,
                             std::vector<Step> estimated)
    : window_points_(static_cast<std::size_t>(window_points)),
      estimate_every_(static_cast<std::size_t>(estimate_every)),
      estimated_(std::move(estimated)) {}

WindowUpdate RollingWindow::Add(const WindowBatch& batch) {
  WindowUpdate update = Refill(batch);
  if (update.rewound_to) {
    std::erase_if(estimated_, [&](Step step) { return step >= batch.step; });
  }
  if (Due()) {
    estimated_.push_back(batch.step);
    update.clouds.push_back(Copy());
  }
  return update;
}

WindowUpdate RollingWindow::Refill(const WindowBatch& batch) {
  WindowUpdate update;
  dim_ = batch.dim;
  if (!chunks_.empty() && batch.step < chunks_.back().step) {
    DropFrom(batch.step);
    update.rewound_to = batch.step;
  }
  Chunk chunk{.seq = batch.seq,
              .step = batch.step,
              .rows = {},
              .sample_ids = {batch.sample_ids.begin(), batch.sample_ids.end()},
              .count = batch.rows,
              .expired = 0,
              .dropped_rows = batch.dropped_rows};
  update.nonfinite_rows = DecodeRows(batch, chunk.rows);
  held_ += chunk.count;
  chunks_.push_back(std::move(chunk));
  Expire();
  return update;
}

void RollingWindow::DropFrom(Step step) {
  while (!chunks_.empty() && chunks_.back().step >= step) {
    held_ -= chunks_.back().count - chunks_.back().expired;
    chunks_.pop_back();
  }
}

void RollingWindow::Expire() {
  while (held_ > window_points_) {
    Chunk& oldest = chunks_.front();
    const std::size_t going = std::min(held_ - window_points_, oldest.count - oldest.expired);
    oldest.expired += going;
    held_ -= going;
    if (oldest.expired == oldest.count) chunks_.pop_front();
  }
}

bool RollingWindow::Due() const {
  std::size_t since = 0;
  for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
    if (!estimated_.empty() && chunk->step <= estimated_.back()) break;
    since += chunk->count - chunk->expired;
  }
  return since >= estimate_every_;
}

Cloud RollingWindow::Copy() const {
  Cloud cloud{.step = chunks_.back().step,
              .rows = PointCloud(dim_),
              .sample_ids = {},
              .dropped_rows = 0,
              .fill = static_cast<double>(held_) / static_cast<double>(window_points_)};
  cloud.rows.data().reserve(held_ * dim_);
  bool all_have_ids = true;
  for (const Chunk& chunk : chunks_) {
    cloud.dropped_rows += chunk.dropped_rows;
    const auto first_row = static_cast<std::ptrdiff_t>(chunk.expired * dim_);
    cloud.rows.data().insert(cloud.rows.data().end(), chunk.rows.begin() + first_row,
                             chunk.rows.end());
    all_have_ids = all_have_ids && !chunk.sample_ids.empty();
    if (!all_have_ids) continue;
    const auto first_id = static_cast<std::ptrdiff_t>(chunk.expired);
    cloud.sample_ids.insert(cloud.sample_ids.end(), chunk.sample_ids.begin() + first_id,
                            chunk.sample_ids.end());
  }
  if (!all_have_ids) cloud.sample_ids.clear();
  return cloud;
}

std::optional<std::int64_t> RollingWindow::first_needed_seq() const {
  return chunks_.empty() ? std::nullopt : std::optional(chunks_.front().seq);
}

std::int64_t RollingWindow::bytes() const {
  std::size_t bytes = 0;
  for (const Chunk& chunk : chunks_) {
    bytes +=
        chunk.rows.capacity() * sizeof(float) + chunk.sample_ids.capacity() * sizeof(std::int64_t);
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace dimwatch
