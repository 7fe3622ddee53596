#include "src/window/rolling_window.h"

#include <algorithm>
#include <span>
#include <utility>

namespace dimwatch {
namespace {

constexpr std::size_t kRowsTogether = 512;  // of a large batch: bounds the memory of an update

}  // namespace

RollingWindow::RollingWindow(std::int64_t window_points, std::int64_t estimate_every,
                             std::vector<Step> estimated, const EstimatorSettings& settings,
                             UpkeepChoice choice, ThreadPool& pool)
    : window_points_(static_cast<std::size_t>(window_points)),
      estimate_every_(static_cast<std::size_t>(estimate_every)),
      estimated_(std::move(estimated)),
      settings_(settings),
      choice_(std::move(choice)),
      pool_(pool) {}

WindowUpdate RollingWindow::Add(const WindowBatch& batch) {
  WindowUpdate update = Refill(batch);
  if (update.rewound_to) {
    std::erase_if(estimated_, [&](Step step) { return step >= batch.step; });
  }
  if (Due()) {
    update.clouds.push_back(Take());
    estimated_.push_back(batch.step);
  }
  return update;
}

WindowUpdate RollingWindow::Refill(const WindowBatch& batch) {
  WindowUpdate update;
  dim_ = batch.dim;
  std::size_t newest = 0;
  if (!chunks_.empty() && batch.step < chunks_.back().step) {
    newest = DropFrom(batch.step);
    update.rewound_to = batch.step;
  }
  Chunk chunk{.seq = batch.seq,
              .step = batch.step,
              .rows = {},
              .sample_ids = {batch.sample_ids.begin(), batch.sample_ids.end()},
              .count = batch.rows,
              .expired = 0,
              .dropped_rows = batch.dropped_rows};
  std::vector<float> rows;
  update.nonfinite_rows = DecodeRows(batch, rows);
  const bool rolls = choice_.upkeep == Upkeep::kLists;
  if (!rolls) chunk.rows = std::exchange(rows, {});
  held_ += chunk.count;
  chunks_.push_back(std::move(chunk));
  const std::size_t oldest = Expire();
  if (rolls) Roll(oldest, newest, rows);
  return update;
}

void RollingWindow::Roll(std::size_t oldest, std::size_t newest, const std::vector<float>& rows) {
  if (!rolling_) rolling_ = std::make_unique<RollingCloud>(settings_, dim_);
  // Of a batch larger than the window the first rows are gone before they came.
  const std::size_t held = rolling_->rows() - newest;
  const std::size_t skipped = oldest - std::min(oldest, held);
  oldest -= skipped;
  const std::size_t count = rows.size() / dim_;
  for (std::size_t first = skipped; first < count; first += kRowsTogether) {
    const std::size_t together = std::min(kRowsTogether, count - first);
    const std::span part = std::span(rows).subspan(first * dim_, together * dim_);
    rolling_->Update(std::exchange(oldest, 0), std::exchange(newest, 0),
                     PointCloudView(part, together, dim_), pool_);
  }
}

std::size_t RollingWindow::DropFrom(Step step) {
  const std::size_t before = held_;
  while (!chunks_.empty() && chunks_.back().step >= step) {
    held_ -= chunks_.back().count - chunks_.back().expired;
    chunks_.pop_back();
  }
  return before - held_;
}

std::size_t RollingWindow::Expire() {
  const std::size_t before = held_;
  while (held_ > window_points_) {
    Chunk& oldest = chunks_.front();
    const std::size_t going = std::min(held_ - window_points_, oldest.count - oldest.expired);
    oldest.expired += going;
    held_ -= going;
    if (oldest.expired == oldest.count) chunks_.pop_front();
  }
  return before - held_;
}

bool RollingWindow::Due() const {
  std::size_t since = 0;
  for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
    if (!estimated_.empty() && chunk->step <= estimated_.back()) break;
    since += chunk->count - chunk->expired;
  }
  return since >= estimate_every_;
}

Cloud RollingWindow::Take() {
  Cloud cloud;
  cloud.step = chunks_.back().step;
  cloud.fill = static_cast<double>(held_) / static_cast<double>(window_points_);
  for (const Chunk& chunk : chunks_) cloud.dropped_rows += chunk.dropped_rows;
  cloud.rolling = rolling_.get();
  if (choice_.upkeep == Upkeep::kGraphs) cloud.graphs = Graphs();
  if (cloud.rolling != nullptr || cloud.graphs != nullptr) cloud.kept_reason = choice_.reason;
  if (cloud.rolling == nullptr) CopyRows(cloud);
  return cloud;
}

void RollingWindow::CopyRows(Cloud& cloud) const {
  cloud.rows = PointCloud(dim_);
  cloud.rows.data().reserve(held_ * dim_);
  bool all_have_ids = true;
  for (const Chunk& chunk : chunks_) {
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
}

const Generations* RollingWindow::Graphs() {
  if (!graphs_) {
    graphs_ = std::make_unique<Generations>(dim_, std::max<std::size_t>(1, window_points_ / 3),
                                            static_cast<std::uint64_t>(settings_.seed));
  }
  std::vector<Generations::Batch> held;
  held.reserve(chunks_.size());
  for (const Chunk& chunk : chunks_) {
    // A segment is what came between two estimates, by steps: these are stored.
    const auto before = std::ranges::lower_bound(estimated_, chunk.step);
    held.push_back({.seq = chunk.seq,
                    .segment = before - estimated_.begin(),
                    .rows = std::span(chunk.rows).subspan(chunk.expired * dim_)});
  }
  graphs_->Update(held, pool_);
  return 2 * graphs_->rows() >= held_ ? graphs_.get() : nullptr;
}

std::optional<std::int64_t> RollingWindow::first_needed_seq() const {
  return chunks_.empty() ? std::nullopt : std::optional(chunks_.front().seq);
}

std::int64_t RollingWindow::bytes() const {
  std::size_t bytes = rolling_ ? static_cast<std::size_t>(rolling_->bytes()) : 0;
  if (graphs_) bytes += static_cast<std::size_t>(graphs_->bytes());
  for (const Chunk& chunk : chunks_) {
    bytes +=
        chunk.rows.capacity() * sizeof(float) + chunk.sample_ids.capacity() * sizeof(std::int64_t);
  }
  return static_cast<std::int64_t>(bytes);
}

}  // namespace dimwatch
