// The write-ahead log of one run's items: what was acknowledged and not yet fully absorbed.
//
// Guaranteed:
//  1. An item whose Append returned OK is replayed after kill -9, at least until a Trim covered it.
//     Loss of power may cost the last items: nothing is synchronized with the disk.
//  2. What the last segment has behind its last whole record is cut off if it is the beginning of a
//     record or nothing but zeroes. The former is an append that was interrupted, and was never
//     acknowledged; the latter is what a loss of power leaves of appends that had not reached the
//     disk. Any other record or header whose checksum does not match, and a segment that is
//     missing, is damage: it is reported, never guessed, and the files stay as they are. Of a log
//     that lost its end, the caller learns where it ends.
//  3. Disk use is bounded by what is untrimmed plus one segment (64 MiB and a record).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
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
    // Of the newest item that the log ever held, trimmed or not; 0 if none, nothing if only an
    // older dimwatch, which did not write that down, could say.
    std::optional<std::int64_t> last_seq;
    std::int64_t torn_bytes = 0;  // cut off (2.)
  };

  // Opens or creates the log in `folder`, and calls `replay` with every item in order. DATA_LOSS,
  // behind the sound items, for damage; FAILED_PRECONDITION if a newer dimwatch wrote it.
  static absl::StatusOr<std::unique_ptr<SampleLog>> Open(
      const std::filesystem::path& folder, const std::function<void(IngestItem)>& replay,
      Recovery* recovery);
  ~SampleLog();

  // RESOURCE_EXHAUSTED for a full disk, INTERNAL for other failures of the file system; then
  // nothing of the item is kept.
  absl::Status Append(const IngestItem& item);

  // Items with seq < `first_needed_seq` will not be asked for again. They stay while the folder
  // above is held (LogHold), until a later call.
  absl::Status Trim(std::int64_t first_needed_seq);

  std::int64_t bytes() const;

 private:
  class Impl;
  explicit SampleLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
