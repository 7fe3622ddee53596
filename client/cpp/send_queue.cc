#include "client/cpp/send_queue.h"

#include <algorithm>
#include <utility>

namespace dimwatch::client_internal {
namespace {

// What an item costs beside its data: the message, its strings and its place in the queue.
constexpr std::int64_t kItemOverhead = 384;

std::int64_t RowsOf(const v1::IngestRequest& item) {
  return item.has_samples() ? item.samples().rows() : 0;
}

void SetSeq(v1::IngestRequest& item, std::int64_t seq) {
  if (item.has_samples()) item.mutable_samples()->set_seq(seq);
  if (item.has_scalars()) item.mutable_scalars()->set_seq(seq);
  if (item.has_declaration()) item.mutable_declaration()->set_seq(seq);
}

}  // namespace

std::int64_t SendQueue::BytesOf(const v1::IngestRequest& item) {
  std::int64_t bytes = kItemOverhead;
  if (item.has_samples()) {
    bytes += static_cast<std::int64_t>(item.samples().data().size());
    bytes += 8 * static_cast<std::int64_t>(item.samples().sample_ids_size());
  }
  for (const auto& [name, value] : item.scalars().values()) {
    bytes += kItemOverhead / 2 + static_cast<std::int64_t>(name.size());
  }
  return bytes;
}

bool SendQueue::Reserve(std::int64_t bytes) {
  if (bytes_ + bytes > capacity_bytes_) return false;
  bytes_ += bytes;
  return true;
}

void SendQueue::Push(v1::IngestRequest item, std::int64_t reserved) {
  if (item.has_samples()) {
    Newest& newest = newest_[item.samples().probe()];
    if (newest.step != item.samples().step()) newest.told = false;
    newest.step = item.samples().step();
    if (newest.dropped_rows > 0 && newest.dropped_step == newest.step) {
      item.mutable_samples()->set_dropped_rows(newest.dropped_rows);
      newest.told = true;
    }
    newest.dropped_rows = 0;
  }
  bytes_ += BytesOf(item) - reserved;
  waiting_.push_back(std::make_unique<v1::IngestRequest>(std::move(item)));
}

void SendQueue::NoteDropped(const std::string& probe, std::int64_t step, std::int64_t rows) {
  Newest& newest = newest_[probe];
  if (newest.dropped_step != step) newest.dropped_rows = 0;
  newest.dropped_step = step;
  newest.dropped_rows += rows;
}

bool SendQueue::NeedsWord(const std::string& probe, std::int64_t step) const {
  const auto newest = newest_.find(probe);
  return newest != newest_.end() && newest->second.step == step && !newest->second.told;
}

std::unique_ptr<v1::IngestRequest> SendQueue::TakeWaiting() {
  if (waiting_.empty()) return nullptr;
  std::unique_ptr<v1::IngestRequest> item = std::move(waiting_.front());
  waiting_.pop_front();
  taken_bytes_ = BytesOf(*item);
  return item;
}

void SendQueue::Number(std::vector<v1::IngestRequest> parts) {
  bytes_ -= std::exchange(taken_bytes_, 0);
  for (v1::IngestRequest& part : parts) {
    SetSeq(part, next_seq_);
    const std::int64_t bytes = BytesOf(part);
    const std::int64_t rows = RowsOf(part);
    numbered_.push_back(
        {next_seq_++, bytes, rows, std::make_shared<const v1::IngestRequest>(std::move(part))});
    bytes_ += bytes;
  }
}

SendQueue::Item SendQueue::NextUnsent() {
  return unsent_ < numbered_.size() ? numbered_[unsent_++].item : nullptr;
}

std::int64_t SendQueue::Resume(std::int64_t resume_seq) {
  const std::int64_t rows = Acknowledge(resume_seq);
  next_seq_ = std::max(next_seq_, resume_seq + 1);
  unsent_ = 0;
  return rows;
}

std::int64_t SendQueue::Acknowledge(std::int64_t durable_seq) {
  std::int64_t rows = 0;
  while (!numbered_.empty() && numbered_.front().seq <= durable_seq) {
    rows += numbered_.front().rows;
    bytes_ -= numbered_.front().bytes;
    numbered_.pop_front();
    if (unsent_ > 0) --unsent_;
  }
  return rows;
}

void SendQueue::Reject(std::int64_t seq) {
  const auto found = std::find_if(numbered_.begin(), numbered_.end(),
                                  [seq](const Numbered& item) { return item.seq == seq; });
  if (found == numbered_.end()) return;
  bytes_ -= found->bytes;
  if (static_cast<std::size_t>(found - numbered_.begin()) < unsent_) --unsent_;
  numbered_.erase(found);
}

std::int64_t SendQueue::Clear() {
  std::int64_t rows = 0;
  for (const Numbered& numbered : numbered_) rows += numbered.rows;
  for (const auto& item : waiting_) rows += RowsOf(*item);
  numbered_.clear();
  waiting_.clear();
  newest_.clear();
  bytes_ = 0;
  unsent_ = 0;
  return rows;
}

std::vector<v1::IngestRequest> SplitBatch(v1::IngestRequest item, std::int64_t max_bytes) {
  std::vector<v1::IngestRequest> parts;
  const v1::SampleBatch& batch = item.samples();
  const auto size = static_cast<std::int64_t>(batch.data().size());
  if (size <= max_bytes || batch.rows() < 2) {
    parts.push_back(std::move(item));
    return parts;
  }
  const std::int64_t row_bytes = size / batch.rows();
  const std::int64_t part_rows = std::max<std::int64_t>(1, max_bytes / row_bytes);
  for (std::int64_t row = 0; row < batch.rows(); row += part_rows) {
    const std::int64_t rows = std::min(part_rows, batch.rows() - row);
    v1::SampleBatch& part = *parts.emplace_back().mutable_samples();
    part.set_probe(batch.probe());
    part.set_step(batch.step());
    part.set_rank(batch.rank());
    part.set_dtype(batch.dtype());
    part.set_rows(static_cast<std::int32_t>(rows));
    part.set_dim(batch.dim());
    part.set_data(batch.data().data() + row * row_bytes,
                  static_cast<std::size_t>(rows * row_bytes));
    for (std::int64_t i = row; i < row + rows && i < batch.sample_ids_size(); ++i) {
      part.add_sample_ids(batch.sample_ids(static_cast<int>(i)));
    }
    if (row == 0) part.set_dropped_rows(batch.dropped_rows());
    part.set_snapshot_end(batch.snapshot_end() && row + rows == batch.rows());
  }
  return parts;
}

}  // namespace dimwatch::client_internal
