// One file of a sample log.
//
//   header   "dimwlog\n", u32 version, u32 check of those 12 bytes,
//            i64 seq of the last item before this segment, u32 1 if all segments before this one
//            were trimmed, u32 check of those 28 bytes
//   record   u32 bytes of the payload, u32 check of that and of the checksum, u64 checksum of the
//            payload (XXH3-64), payload (item_codec.h)
//
// A check is the low half of the XXH3-64. All little-endian. Records follow each other without
// gaps. In version 1 the header ended after the first check, and a record began with a u64 without
// a check; such segments are read, not written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/store/ingest_item.h"

namespace dimwatch {

inline constexpr std::uint32_t kSegmentVersion = 2;
inline constexpr std::int64_t kSegmentHeaderBytes = 32;
inline constexpr std::int64_t kRecordHeaderBytes = 16;
inline constexpr std::int64_t kMaxRecordBytes = 1LL << 30;  // payload

// Where an older dimwatch did not write it down.
inline constexpr std::int64_t kUnknownSeq = -1;

// What is sound in a file.
struct SegmentScan {
  std::uint32_t version = 0;
  std::int64_t seq_before = 0;  // of the last item before the segment, or kUnknownSeq
  bool is_first = false;        // what was before it was trimmed; true if version 1
  std::int64_t file_bytes = 0;
  std::int64_t sound_bytes = 0;  // 0 if the header is not sound
  std::int64_t items = 0;
  std::int64_t last_seq = 0;  // of the last sound item; 0 if none
  // The file ends within the record (or header) behind the sound ones, or has nothing but zeroes
  // there: space that the file system gave and, when the power failed, had not filled.
  bool torn = false;
};

// Calls `replay` with the items of `file` up to the first that is not sound. FAILED_PRECONDITION
// for a file of a newer version.
absl::StatusOr<SegmentScan> ScanSegment(const std::filesystem::path& file,
                                        const std::function<void(IngestItem)>& replay);

// A segment open for appending. Not thread-safe.
class LogSegment {
 public:
  // Creates the file with its header, or empties it if it exists.
  static absl::StatusOr<std::unique_ptr<LogSegment>> Create(const std::filesystem::path& file,
                                                            std::int64_t seq_before);
  // Opens a scanned file and cuts off what is behind `sound_bytes`.
  static absl::StatusOr<std::unique_ptr<LogSegment>> Open(const std::filesystem::path& file,
                                                          std::int64_t sound_bytes);
  ~LogSegment();
  LogSegment(const LogSegment&) = delete;
  LogSegment& operator=(const LogSegment&) = delete;

  // Appends a record whose payload is `head` and `tail`. RESOURCE_EXHAUSTED for a full disk,
  // INTERNAL for other failures; then the file ends where it ended before.
  absl::Status Append(std::string_view head, std::string_view tail);
  std::int64_t bytes() const { return bytes_; }

 private:
  explicit LogSegment(int descriptor) : descriptor_(descriptor) {}
  absl::Status Write(std::string_view first, std::string_view second);
  absl::Status CutTo(std::int64_t bytes);

  int descriptor_;
  std::int64_t bytes_ = 0;    // sound ones
  bool has_remains_ = false;  // of a failed write, behind the sound bytes
};

// Says in the header of `file` that the segments before it were trimmed. May be open for appending.
absl::Status MarkFirst(const std::filesystem::path& file);

// RESOURCE_EXHAUSTED if `error_number` says that the disk or a quota is full, otherwise INTERNAL.
absl::Status FileError(std::string_view doing, int error_number);

}  // namespace dimwatch
