// The write-ahead log of one run's items: what was acknowledged and not yet fully absorbed.
//
// Guaranteed:
//  1. An item whose Append returned OK is replayed after kill -9, at least until a Trim covered it.
//     Loss of power may cost the last items.
//  2. A record that is torn or whose checksum (XXH3-64) does not match ends the replay there:
//     everything before it is replayed, and the rest is reported, never guessed.
//  3. Disk use is bounded by what is untrimmed plus one segment (64 MiB and a record).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/store/ingest_item.h"

namespace dimwatch {

// Not thread-safe: owned by the run's single writer.
class SampleLog {
 public:
  struct Recovery {
    std::int64_t items = 0;
    std::int64_t last_seq = 0;    // of the last sound item; 0 if none
    std::int64_t lost_bytes = 0;  // behind the last sound record; cut off
    // What was lost is one record (or header) whose writing was cut short, so that it was never
    // acknowledged: the trace of a kill, not of damage (which looks the same only where it made a
    // length too large).
    bool torn = false;
  };

  // Opens or creates the log in `folder`, and calls `replay` with every sound item in order.
  // FAILED_PRECONDITION if a newer dimwatch wrote it.
  static absl::StatusOr<std::unique_ptr<SampleLog>> Open(
      const std::filesystem::path& folder, const std::function<void(IngestItem)>& replay,
      Recovery* recovery);
  ~SampleLog();

  // RESOURCE_EXHAUSTED for a full disk, INTERNAL for other failures of the file system; then
  // nothing of the item is kept.
  absl::Status Append(const IngestItem& item);

  // Items with seq < `first_needed_seq` will not be asked for again.
  absl::Status Trim(std::int64_t first_needed_seq);

  std::int64_t bytes() const;

 private:
  class Impl;
  explicit SampleLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
