#include "src/store/log_segment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/item_codec.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

constexpr std::string_view kMagic = "dimwlog\n";
constexpr std::int64_t kFirstHeaderBytes = 16;  // all of it in version 1

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags)
      : value_(::open(file.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int Release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

template <typename Integer>
void AppendInteger(std::string& bytes, Integer value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Integer>
Integer IntegerAt(std::string_view bytes, std::size_t at) {
  Integer value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::uint32_t Check(std::string_view bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

void AppendCheck(std::string& bytes) { AppendInteger(bytes, Check(bytes)); }

// Whether the four bytes at `at` are the check of those before them.
bool CheckHolds(std::string_view bytes, std::size_t at) {
  return Check(bytes.substr(0, at)) == IntegerAt<std::uint32_t>(bytes, at);
}

std::string Header(std::int64_t seq_before, bool is_first) {
  std::string header(kMagic);
  AppendInteger(header, kSegmentVersion);
  AppendCheck(header);
  AppendInteger(header, seq_before);
  AppendInteger(header, static_cast<std::uint32_t>(is_first));
  AppendCheck(header);
  return header;
}

// What precedes a payload.
std::string RecordHeader(std::uint32_t bytes, std::uint64_t checksum) {
  std::string header;
  AppendInteger(header, bytes);
  AppendInteger(header, checksum);
  const std::uint32_t check = Check(header);
  header.insert(sizeof bytes, reinterpret_cast<const char*>(&check), sizeof check);
  return header;
}

// Fills `bytes`, or returns false where the file ends or cannot be read.
bool ReadFully(int descriptor, std::int64_t offset, std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(descriptor, bytes.data() + done, bytes.size() - done,
                                offset + static_cast<std::int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

// 0, or the number of the error.
int WriteFully(int descriptor, std::int64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(descriptor, bytes.data(), bytes.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    if (put == 0) return ENOSPC;
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += put;
  }
  return 0;
}

// Whether the file has nothing but zeroes from `offset` to its end.
bool OnlyZeroes(int descriptor, std::int64_t offset, std::int64_t file_bytes) {
  constexpr std::int64_t kPiece = 1 << 20;
  std::string piece;
  for (; offset < file_bytes; offset += std::ssize(piece)) {
    piece.resize(static_cast<std::size_t>(std::min(kPiece, file_bytes - offset)));
    if (!ReadFully(descriptor, offset, piece)) return false;
    if (piece.find_first_not_of('\0') != std::string::npos) return false;
  }
  return true;
}

// How many bytes the payload behind `header` has; none if the header is not sound.
std::optional<std::int64_t> PayloadBytes(std::string_view header, std::uint32_t version) {
  const auto bytes = IntegerAt<std::uint32_t>(header, 0);
  const bool sound = version == 1
                         ? IntegerAt<std::uint32_t>(header, 4) == 0
                         : RecordHeader(bytes, IntegerAt<std::uint64_t>(header, 8)) == header;
  if (!sound || bytes > kMaxRecordBytes) return std::nullopt;
  return bytes;
}

// The payload at scan.sound_bytes, if it is whole and its checksum matches. Sets scan.torn.
std::optional<std::string> ReadRecord(int descriptor, SegmentScan& scan) {
  const std::int64_t rest = scan.file_bytes - scan.sound_bytes;
  std::string header(kRecordHeaderBytes, '\0');
  scan.torn = rest < kRecordHeaderBytes;
  if (scan.torn || !ReadFully(descriptor, scan.sound_bytes, header)) return std::nullopt;
  const std::optional<std::int64_t> bytes = PayloadBytes(header, scan.version);
  scan.torn = bytes && *bytes > rest - kRecordHeaderBytes;
  if (!bytes || scan.torn) return std::nullopt;
  std::string payload(static_cast<std::size_t>(*bytes), '\0');
  if (!ReadFully(descriptor, scan.sound_bytes + kRecordHeaderBytes, payload)) return std::nullopt;
  const XXH64_hash_t checksum = XXH3_64bits(payload.data(), payload.size());
  if (checksum != IntegerAt<std::uint64_t>(header, 8)) return std::nullopt;
  return payload;
}

// Reads the header of `file`; scan.sound_bytes stays 0 if it is not sound.
absl::Status ScanHeader(const std::filesystem::path& file, int descriptor, SegmentScan& scan) {
  std::string header(kFirstHeaderBytes, '\0');
  if (!ReadFully(descriptor, 0, header) || !header.starts_with(kMagic) || !CheckHolds(header, 12)) {
    scan.torn = scan.file_bytes < kFirstHeaderBytes;
    return absl::OkStatus();
  }
  scan.version = IntegerAt<std::uint32_t>(header, 8);
  if (scan.version < 1 || scan.version > kSegmentVersion) {
    return absl::FailedPreconditionError(absl::StrCat(file.string(), " has version ", scan.version,
                                                      "; this dimwatch knows versions up to ",
                                                      kSegmentVersion));
  }
  if (scan.version == 1) {
    scan.seq_before = kUnknownSeq;
    scan.is_first = true;
    scan.sound_bytes = kFirstHeaderBytes;
    return absl::OkStatus();
  }
  header.resize(kSegmentHeaderBytes);
  scan.torn = scan.file_bytes < kSegmentHeaderBytes;
  if (!ReadFully(descriptor, 0, header) || !CheckHolds(header, 28)) return absl::OkStatus();
  scan.seq_before = IntegerAt<std::int64_t>(header, 16);
  scan.is_first = IntegerAt<std::uint32_t>(header, 24) != 0;
  scan.sound_bytes = kSegmentHeaderBytes;
  return absl::OkStatus();
}

std::uint64_t Checksum(std::string_view first, std::string_view second) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), first.data(), first.size());
  XXH3_64bits_update(state.get(), second.data(), second.size());
  return XXH3_64bits_digest(state.get());
}

}  // namespace

absl::Status FileError(std::string_view doing, int error_number) {
  const std::string message =
      absl::StrCat(std::string(doing), ": ", std::generic_category().message(error_number));
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return full ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

absl::StatusOr<SegmentScan> ScanSegment(const std::filesystem::path& file,
                                        const std::function<void(IngestItem)>& replay) {
  const Descriptor descriptor(file, O_RDONLY);
  struct stat about = {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &about) != 0) {
    return FileError(absl::StrCat("opening ", file.string()), errno);
  }
  SegmentScan scan;
  scan.file_bytes = about.st_size;
  DIMWATCH_RETURN_IF_ERROR(ScanHeader(file, descriptor.get(), scan));
  while (scan.sound_bytes > 0 && scan.sound_bytes < scan.file_bytes) {
    const std::optional<std::string> payload = ReadRecord(descriptor.get(), scan);
    if (!payload.has_value()) break;
    std::optional<IngestItem> item = DecodeItem(*payload);
    if (!item.has_value()) break;
    scan.last_seq = SeqOf(*item);
    ++scan.items;
    scan.sound_bytes += kRecordHeaderBytes + static_cast<std::int64_t>(payload->size());
    replay(*std::move(item));
  }
  if (scan.sound_bytes < scan.file_bytes && !scan.torn) {
    scan.torn = OnlyZeroes(descriptor.get(), scan.sound_bytes, scan.file_bytes);
  }
  return scan;
}

absl::StatusOr<std::unique_ptr<LogSegment>> LogSegment::Create(const std::filesystem::path& file,
                                                               std::int64_t seq_before) {
  Descriptor descriptor(file, O_RDWR | O_CREAT | O_TRUNC);
  if (descriptor.get() < 0) return FileError(absl::StrCat("creating ", file.string()), errno);
  std::unique_ptr<LogSegment> segment(new LogSegment(descriptor.Release()));
  const absl::Status written = segment->Write(Header(seq_before, false), "");
  if (!written.ok()) {
    ::unlink(file.c_str());
    return written;
  }
  return segment;
}

absl::StatusOr<std::unique_ptr<LogSegment>> LogSegment::Open(const std::filesystem::path& file,
                                                             std::int64_t sound_bytes) {
  Descriptor descriptor(file, O_RDWR);
  if (descriptor.get() < 0) return FileError(absl::StrCat("opening ", file.string()), errno);
  std::unique_ptr<LogSegment> segment(new LogSegment(descriptor.Release()));
  DIMWATCH_RETURN_IF_ERROR(segment->CutTo(sound_bytes));
  return segment;
}

LogSegment::~LogSegment() { ::close(descriptor_); }

absl::Status LogSegment::Append(std::string_view head, std::string_view tail) {
  if (head.size() + tail.size() > kMaxRecordBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "item of ", head.size() + tail.size(), " bytes; the log takes up to ", kMaxRecordBytes));
  }
  std::string first =
      RecordHeader(static_cast<std::uint32_t>(head.size() + tail.size()), Checksum(head, tail));
  first.append(head);
  return Write(first, tail);
}

absl::Status LogSegment::Write(std::string_view first, std::string_view second) {
  if (has_remains_) DIMWATCH_RETURN_IF_ERROR(CutTo(bytes_));
  const auto first_bytes = static_cast<std::int64_t>(first.size());
  int error = WriteFully(descriptor_, bytes_, first);
  if (error == 0) error = WriteFully(descriptor_, bytes_ + first_bytes, second);
  if (error == 0) {
    bytes_ += first_bytes + static_cast<std::int64_t>(second.size());
    return absl::OkStatus();
  }
  has_remains_ = !CutTo(bytes_).ok();
  return FileError("appending to the sample log", error);
}

absl::Status LogSegment::CutTo(std::int64_t bytes) {
  if (::ftruncate(descriptor_, bytes) != 0) return FileError("truncating the sample log", errno);
  bytes_ = bytes;
  has_remains_ = false;
  return absl::OkStatus();
}

absl::Status MarkFirst(const std::filesystem::path& file) {
  const Descriptor descriptor(file, O_RDWR);
  SegmentScan scan;
  scan.file_bytes = kSegmentHeaderBytes;
  if (descriptor.get() < 0) return FileError(absl::StrCat("opening ", file.string()), errno);
  DIMWATCH_RETURN_IF_ERROR(ScanHeader(file, descriptor.get(), scan));
  if (scan.is_first || scan.sound_bytes == 0) return absl::OkStatus();
  const int error = WriteFully(descriptor.get(), 0, Header(scan.seq_before, true));
  return error == 0 ? absl::OkStatus() : FileError(absl::StrCat("marking ", file.string()), error);
}

}  // namespace dimwatch
