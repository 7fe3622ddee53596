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

#include "dimwatch/v1/ingest.pb.h"

namespace dimwatch::client_internal {

// Not thread-safe: the sender's mutex guards it.
class SendQueue {
 public:
  using Item = std::shared_ptr<const v1::IngestRequest>;

  // Holds at most `capacity_bytes`, counted as in BytesOf.
  explicit SendQueue(std::int64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  static std::int64_t BytesOf(const v1::IngestRequest& item);

  // Sets room aside for an item of so many bytes; false, and no change, if there is none. O(1).
  bool Reserve(std::int64_t bytes);
  // Appends an item in place of the `reserved` bytes. A batch carries the rows of its step that
  // were dropped before it. O(1).
  void Push(v1::IngestRequest item, std::int64_t reserved);
  // Notes that rows did not fit; the next batch of this probe and step says so. A step that was
  // dropped as a whole is a gap in the series, which needs no word.
  void NoteDropped(const std::string& probe, std::int64_t step, std::int64_t rows);
  // Whether a part of this step was accepted before without a word of dropped rows: then a drop
  // must not go unsaid, or the estimate would pass as complete.
  bool NeedsWord(const std::string& probe, std::int64_t step) const;

  bool empty() const { return waiting_.empty() && numbered_.empty() && taken_bytes_ == 0; }
  // Whether an item waits for its number.
  bool waiting() const { return !waiting_.empty(); }
  std::int64_t bytes() const { return bytes_; }

  // Takes the first item that has no number yet; null if there is none. Its bytes stay counted
  // until Number gives it back.
  std::unique_ptr<v1::IngestRequest> TakeWaiting();
  // Numbers the parts of the item taken last. REQUIRES: TakeWaiting returned it.
  void Number(std::vector<v1::IngestRequest> parts);

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
    std::int64_t bytes = 0;
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

  const std::int64_t capacity_bytes_;
  std::int64_t bytes_ = 0;
  std::int64_t taken_bytes_ = 0;
  std::deque<std::unique_ptr<v1::IngestRequest>> waiting_;
  std::deque<Numbered> numbered_;  // by ascending seq
  std::size_t unsent_ = 0;         // index into numbered_
  std::int64_t next_seq_ = 1;
  std::map<std::string, Newest> newest_;  // by probe
};

// Cuts a batch into batches of at most `max_bytes` of data each (one row at least), so that the
// server takes them; other items come back as they are.
std::vector<v1::IngestRequest> SplitBatch(v1::IngestRequest item, std::int64_t max_bytes);

}  // namespace dimwatch::client_internal
