// What a client has accepted and the server does not yet hold durably.
//
// Items wait unnumbered until they are first sent: only the server knows where the numbers of a run
// that goes on continue.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/cpp/data_block.h"
#include "dimwatch/v1/ingest.pb.h"

namespace dimwatch::client_internal {

// The data of a batch, which the items that it was cut into share.
struct BatchData {
  explicit BatchData(std::int64_t bytes) : block(bytes) {}
  DataBlock block;
  int parts = 1;  // items in the queue; guarded by the sender's mutex
};

// A message, and the part of a batch's data that belongs into it.
struct QueuedItem {
  v1::IngestRequest message;
  std::shared_ptr<BatchData> data = nullptr;  // null but for a batch
  std::int64_t offset = 0;                    // bytes
  std::int64_t size = 0;                      // bytes
};

// Not thread-safe: the sender's mutex guards it.
class SendQueue {
 public:
  // To be given back under the mutex too, as the data may be overwritten from then on.
  using Item = std::shared_ptr<const QueuedItem>;

  // Holds at most `capacity_bytes`, counted as in BytesOf, spare blocks included.
  explicit SendQueue(std::int64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // Of the message with all that belongs to it in the queue, but for its block.
  static std::int64_t BytesOf(const v1::IngestRequest& item);

  // Sets room aside for an item of so many bytes, where it must be at the expense of spare blocks;
  // false, and no change, if there is none. O(1) but for these.
  bool Reserve(std::int64_t bytes);
  // Gives back what Reserve set aside.
  void Release(std::int64_t bytes) { bytes_ -= bytes; }
  // Appends an item in place of the `reserved` bytes, which are given back if that throws. A batch
  // carries the rows of its step that were dropped before it. O(1).
  void Push(QueuedItem item, std::int64_t reserved);

  // A block of an item that left the queue: memory that need not be touched for the first time.
  // Null if none fits so many bytes.
  std::shared_ptr<BatchData> TakeSpare(std::int64_t bytes);
  bool has_spares() const { return !spares_.empty(); }
  void FreeSpares();
  // Notes that rows did not fit; the next batch of this probe and step says so. A step that was
  // dropped as a whole is a gap in the series, which needs no word.
  void NoteDropped(const std::string& probe, std::int64_t step, std::int64_t rows);
  // Whether a part of this step was accepted before without a word of dropped rows: then a drop
  // must not go unsaid, or the estimate would pass as complete.
  bool NeedsWord(const std::string& probe, std::int64_t step) const;

  bool empty() const { return waiting_.empty() && numbered_.empty(); }
  // Whether an item waits for its number.
  bool waiting() const { return !waiting_.empty(); }
  // Without the spare blocks.
  std::int64_t bytes() const { return bytes_; }

  // Numbers the first item that waits, cut into parts of at most `max_bytes` of data.
  // REQUIRES: waiting().
  void NumberNext(std::int64_t max_bytes);

  // The next numbered item that this stream has not sent; null if there is none.
  Item NextUnsent();

  // A stream was welcomed: what is above `resume_seq` has to be sent again. Returns the rows that
  // turned out to be durable.
  std::int64_t Resume(std::int64_t resume_seq);
  // Everything up to `durable_seq` is safe. Returns the rows among it.
  std::int64_t Acknowledge(std::int64_t durable_seq);
  // The server rejected this item: it is not kept.
  void Reject(std::int64_t seq);
  // Forgets everything; returns the rows that were lost.
  std::int64_t Clear();

 private:
  struct Numbered {
    std::int64_t seq = 0;
    std::int64_t rows = 0;
    Item item;
  };
  // Of one probe.
  struct Newest {
    std::int64_t step = -1;  // accepted
    bool told = false;       // a batch of it carries dropped rows
    std::int64_t dropped_step = -1;
    std::int64_t dropped_rows = 0;
  };

  // Takes an item that has left the queue off the count, and its block where it was the last of it.
  void Forget(const Numbered& numbered);

  const std::int64_t capacity_bytes_;
  std::int64_t bytes_ = 0;
  std::int64_t spare_bytes_ = 0;
  std::vector<std::shared_ptr<BatchData>> spares_;  // large, nobody else's
  std::deque<QueuedItem> waiting_;
  std::deque<Numbered> numbered_;  // by ascending seq
  std::size_t unsent_ = 0;         // index into numbered_
  std::int64_t next_seq_ = 1;
  std::map<std::string, Newest> newest_;  // by probe
};

// Cuts a batch into batches of at most `max_bytes` of data each (one row at least), so that the
// server takes them; other items come back as they are. The data is not copied.
std::vector<QueuedItem> SplitBatch(const QueuedItem& item, std::int64_t max_bytes);

}  // namespace dimwatch::client_internal
