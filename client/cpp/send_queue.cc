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
  if (item.has_samples()) bytes += 8 * static_cast<std::int64_t>(item.samples().sample_ids_size());
  for (const auto& [name, value] : item.scalars().values()) {
    bytes += kItemOverhead / 2 + static_cast<std::int64_t>(name.size());
  }
  return bytes;
}

bool SendQueue::Reserve(std::int64_t bytes) {
  if (bytes_ + bytes > capacity_bytes_) return false;
  bytes_ += bytes;
  while (bytes_ + spare_bytes_ > capacity_bytes_) {
    spare_bytes_ -= spares_.back()->block.size();
    spares_.pop_back();
  }
  return true;
}

void SendQueue::Push(QueuedItem item, std::int64_t reserved) {
  Release(reserved);
  if (item.message.has_samples()) {
    v1::SampleBatch& samples = *item.message.mutable_samples();
    Newest& newest = newest_[samples.probe()];
    if (newest.step != samples.step()) newest.told = false;
    newest.step = samples.step();
    if (newest.dropped_rows > 0 && newest.dropped_step == newest.step) {
      samples.set_dropped_rows(newest.dropped_rows);
      newest.told = true;
    }
    newest.dropped_rows = 0;
  }
  const std::int64_t bytes =
      BytesOf(item.message) + (item.data == nullptr ? 0 : item.data->block.size());
  waiting_.push_back(std::move(item));
  bytes_ += bytes;
}

std::shared_ptr<BatchData> SendQueue::TakeSpare(std::int64_t bytes) {
  const std::int64_t size = DataBlock::SizeFor(bytes);
  const auto fits = [size](const std::shared_ptr<BatchData>& spare) {
    return spare->block.size() >= size && spare->block.size() / 2 <= size;
  };
  std::shared_ptr<BatchData> taken;
  if (const auto spare = std::ranges::find_if(spares_, fits); spare != spares_.end()) {
    taken = std::exchange(*spare, std::move(spares_.back()));
    spares_.pop_back();
    spare_bytes_ -= taken->block.size();
    taken->parts = 1;
  }
  return taken;
}

void SendQueue::FreeSpares() {
  spares_.clear();
  spare_bytes_ = 0;
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

void SendQueue::NumberNext(std::int64_t max_bytes) {
  QueuedItem& whole = waiting_.front();
  std::vector<Numbered> parts;
  std::int64_t seq = next_seq_;
  std::int64_t bytes = -BytesOf(whole.message);
  for (QueuedItem& part : SplitBatch(whole, max_bytes)) {
    SetSeq(part.message, seq);
    bytes += BytesOf(part.message);
    const std::int64_t rows = RowsOf(part.message);
    parts.push_back({seq++, rows, std::make_shared<const QueuedItem>(std::move(part))});
  }
  numbered_.insert(numbered_.end(), parts.begin(), parts.end());
  if (whole.data != nullptr) whole.data->parts = static_cast<int>(parts.size());
  bytes_ += bytes;
  next_seq_ = seq;
  waiting_.pop_front();
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
    const Numbered numbered = std::move(numbered_.front());
    numbered_.pop_front();
    Forget(numbered);
    if (unsent_ > 0) --unsent_;
  }
  return rows;
}

void SendQueue::Reject(std::int64_t seq) {
  const auto found = std::find_if(numbered_.begin(), numbered_.end(),
                                  [seq](const Numbered& item) { return item.seq == seq; });
  if (found == numbered_.end()) return;
  const Numbered numbered = std::move(*found);
  if (static_cast<std::size_t>(found - numbered_.begin()) < unsent_) --unsent_;
  numbered_.erase(found);
  Forget(numbered);
}

void SendQueue::Forget(const Numbered& numbered) {
  bytes_ -= BytesOf(numbered.item->message);
  const std::shared_ptr<BatchData>& data = numbered.item->data;
  if (data == nullptr || --data->parts > 0) return;
  bytes_ -= data->block.size();
  const bool being_sent = numbered.item.use_count() > 1 || data.use_count() > 1;
  if (being_sent || !DataBlock::IsLarge(data->block.size())) return;
  spares_.push_back(data);
  spare_bytes_ += data->block.size();
}

std::int64_t SendQueue::Clear() {
  std::int64_t rows = 0;
  for (const Numbered& numbered : numbered_) rows += numbered.rows;
  for (const QueuedItem& item : waiting_) rows += RowsOf(item.message);
  numbered_.clear();
  waiting_.clear();
  FreeSpares();
  newest_.clear();
  bytes_ = 0;
  unsent_ = 0;
  return rows;
}

std::vector<QueuedItem> SplitBatch(const QueuedItem& item, std::int64_t max_bytes) {
  const v1::SampleBatch& batch = item.message.samples();
  if (item.size <= max_bytes || batch.rows() < 2) return {item};
  std::vector<QueuedItem> parts;
  const std::int64_t row_bytes = item.size / batch.rows();
  const std::int64_t part_rows = std::max<std::int64_t>(1, max_bytes / row_bytes);
  for (std::int64_t row = 0; row < batch.rows(); row += part_rows) {
    const std::int64_t rows = std::min(part_rows, batch.rows() - row);
    QueuedItem& part = parts.emplace_back(
        QueuedItem{{}, item.data, item.offset + row * row_bytes, rows * row_bytes});
    v1::SampleBatch& samples = *part.message.mutable_samples();
    samples.set_probe(batch.probe());
    samples.set_step(batch.step());
    samples.set_rank(batch.rank());
    samples.set_dtype(batch.dtype());
    samples.set_rows(static_cast<std::int32_t>(rows));
    samples.set_dim(batch.dim());
    for (std::int64_t i = row; i < row + rows && i < batch.sample_ids_size(); ++i) {
      samples.add_sample_ids(batch.sample_ids(static_cast<int>(i)));
    }
    if (row == 0) samples.set_dropped_rows(batch.dropped_rows());
    samples.set_snapshot_end(batch.snapshot_end() && row + rows == batch.rows());
  }
  return parts;
}

}  // namespace dimwatch::client_internal
