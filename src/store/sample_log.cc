#include "src/store/sample_log.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/store/item_codec.h"
#include "src/store/log_hold.h"
#include "src/store/log_segment.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kRollBytes = 64 << 20;
// An emptied segment is only worth cutting if it is larger than this.
constexpr std::int64_t kKeepBytes = 4 << 20;
constexpr std::string_view kExtension = ".log";

// A segment that is no longer written.
struct ClosedSegment {
  std::int64_t number = 0;
  std::int64_t bytes = 0;
  std::int64_t last_seq = 0;
};

fs::path SegmentFile(const fs::path& folder, std::int64_t number) {
  return folder / absl::StrFormat("%012d%s", number, std::string(kExtension));
}

// The number in a segment's name; none for other files.
std::optional<std::int64_t> SegmentNumber(const fs::path& file) {
  const std::string stem = file.stem().string();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  if (file.extension() != kExtension || error != std::errc() || end != stem.data() + stem.size()) {
    return std::nullopt;
  }
  return number;
}

absl::StatusOr<std::vector<std::int64_t>> SegmentNumbers(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return FileError("creating " + folder.string(), error.value());
  std::vector<std::int64_t> numbers;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (const auto number = SegmentNumber(entry->path())) numbers.push_back(*number);
  }
  if (error) return FileError("listing " + folder.string(), error.value());
  std::ranges::sort(numbers);
  return numbers;
}

absl::Status Remove(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  return error ? FileError("removing " + file.string(), error.value()) : absl::OkStatus();
}

absl::Status Damage(std::int64_t last_seq, const std::string& what) {
  return absl::DataLossError(
      absl::StrCat("the log was damaged behind item ", last_seq, ": ", what));
}

}  // namespace

class SampleLog::Impl {
 public:
  explicit Impl(fs::path folder) : folder_(std::move(folder)) {}

  absl::Status Open(const std::function<void(IngestItem)>& replay, Recovery& recovery);
  absl::Status Append(const IngestItem& item);
  absl::Status Trim(std::int64_t first_needed_seq);
  std::int64_t bytes() const { return closed_bytes_ + current_->bytes(); }

 private:
  absl::Status StartSegment(std::int64_t number);
  void Close(const ClosedSegment& segment);
  absl::Status CheckOrder(std::int64_t number, const SegmentScan& next) const;

  const fs::path folder_;
  std::deque<ClosedSegment> closed_;
  std::int64_t closed_bytes_ = 0;
  std::unique_ptr<LogSegment> current_;
  std::int64_t number_ = 0;      // of the current segment
  std::int64_t last_seq_ = 0;    // in the current segment; 0 if it is empty
  std::int64_t newest_seq_ = 0;  // that was ever appended; or kUnknownSeq
};

// Replays the segments; returns damage where it comes upon it.
absl::Status SampleLog::Impl::Open(const std::function<void(IngestItem)>& replay,
                                   Recovery& recovery) {
  const absl::StatusOr<std::vector<std::int64_t>> numbers = SegmentNumbers(folder_);
  DIMWATCH_RETURN_IF_ERROR(numbers.status());
  recovery.last_seq = 0;
  SegmentScan scan;
  for (const std::int64_t number : *numbers) {
    const fs::path file = SegmentFile(folder_, number);
    const bool last = number == numbers->back();
    const absl::StatusOr<SegmentScan> next = ScanSegment(file, replay);
    DIMWATCH_RETURN_IF_ERROR(next.status());
    const std::int64_t lost = next->file_bytes - next->sound_bytes;
    if (last && next->torn) {
      recovery.torn_bytes = lost;
      if (next->sound_bytes == 0) break;  // it is made anew
    }
    DIMWATCH_RETURN_IF_ERROR(CheckOrder(number, *next));
    if (number_ > 0) Close({number_, scan.file_bytes, scan.last_seq});
    scan = *next;
    number_ = number;
    recovery.items += scan.items;
    newest_seq_ = scan.items > 0 ? scan.last_seq : scan.seq_before;
    if (lost > 0 && !(last && scan.torn)) {
      return Damage(newest_seq_, absl::StrCat(lost, " bytes of ", file.string(), " are not sound"));
    }
  }
  if (number_ == 0) return StartSegment(1);
  recovery.last_seq = newest_seq_;
  if (newest_seq_ == kUnknownSeq) recovery.last_seq.reset();
  last_seq_ = scan.last_seq;
  auto segment = LogSegment::Open(SegmentFile(folder_, number_), scan.sound_bytes);
  DIMWATCH_RETURN_IF_ERROR(segment.status());
  current_ = *std::move(segment);
  return scan.version == kSegmentVersion ? absl::OkStatus() : StartSegment(number_ + 1);
}

// Whether `next` is what comes behind the current segment.
absl::Status SampleLog::Impl::CheckOrder(std::int64_t number, const SegmentScan& next) const {
  const std::string name = SegmentFile(folder_, number).string();
  if (next.sound_bytes == 0) {
    return Damage(newest_seq_, absl::StrCat("the header of ", name, " is not sound"));
  }
  const bool follows = number == number_ + 1 || (number_ == 0 && next.is_first);
  if (follows) return absl::OkStatus();
  return Damage(newest_seq_, absl::StrCat("a segment before ", name, " is missing"));
}

absl::Status SampleLog::Impl::StartSegment(std::int64_t number) {
  auto segment = LogSegment::Create(SegmentFile(folder_, number), newest_seq_);
  DIMWATCH_RETURN_IF_ERROR(segment.status());
  if (current_ != nullptr) Close({number_, current_->bytes(), last_seq_});
  current_ = *std::move(segment);
  number_ = number;
  last_seq_ = 0;
  return absl::OkStatus();
}

void SampleLog::Impl::Close(const ClosedSegment& segment) {
  closed_.push_back(segment);
  closed_bytes_ += segment.bytes;
}

absl::Status SampleLog::Impl::Append(const IngestItem& item) {
  const absl::StatusOr<EncodedItem> encoded = EncodeItem(item);
  DIMWATCH_RETURN_IF_ERROR(encoded.status());
  if (current_->bytes() >= kRollBytes) DIMWATCH_RETURN_IF_ERROR(StartSegment(number_ + 1));
  DIMWATCH_RETURN_IF_ERROR(current_->Append(encoded->head, encoded->tail));
  last_seq_ = newest_seq_ = SeqOf(item);
  return absl::OkStatus();
}

// Files are only ever appended to and removed, so that they may be copied while they are written.
absl::Status SampleLog::Impl::Trim(std::int64_t first_needed_seq) {
  const auto needed = std::ranges::find_if(
      closed_, [&](const ClosedSegment& segment) { return segment.last_seq >= first_needed_seq; });
  auto trimmed = needed - closed_.begin();
  const bool all = needed == closed_.end() && last_seq_ < first_needed_seq;
  const bool with_current = all && current_->bytes() > kKeepBytes;
  if (trimmed == 0 && !with_current) return absl::OkStatus();
  const absl::StatusOr<LogHold> hold = LogHold::ToRemove(folder_.parent_path());
  if (!hold.ok()) return absl::IsUnavailable(hold.status()) ? absl::OkStatus() : hold.status();
  if (with_current) {
    DIMWATCH_RETURN_IF_ERROR(StartSegment(number_ + 1));
    ++trimmed;
  }
  const std::int64_t first = closed_.front().number + trimmed;
  DIMWATCH_RETURN_IF_ERROR(MarkFirst(SegmentFile(folder_, first)));
  for (; !closed_.empty() && closed_.front().number < first; closed_.pop_front()) {
    DIMWATCH_RETURN_IF_ERROR(Remove(SegmentFile(folder_, closed_.front().number)));
    closed_bytes_ -= closed_.front().bytes;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SampleLog>> SampleLog::Open(
    const fs::path& folder, const std::function<void(IngestItem)>& replay, Recovery* recovery) {
  auto impl = std::make_unique<Impl>(folder);
  *recovery = Recovery();
  DIMWATCH_RETURN_IF_ERROR(impl->Open(replay, *recovery));
  return std::unique_ptr<SampleLog>(new SampleLog(std::move(impl)));
}

SampleLog::SampleLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SampleLog::~SampleLog() = default;

absl::Status SampleLog::Append(const IngestItem& item) { return impl_->Append(item); }
absl::Status SampleLog::Trim(std::int64_t first_needed_seq) {
  return impl_->Trim(first_needed_seq);
}
std::int64_t SampleLog::bytes() const { return impl_->bytes(); }

}  // namespace dimwatch
