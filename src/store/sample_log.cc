#include "src/store/sample_log.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "src/store/item_codec.h"
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

// Removes the segments behind the first `sound` ones, the last first: a crash in between leaves the
// break where it is.
absl::StatusOr<std::int64_t> RemoveBehind(const fs::path& folder,
                                          const std::vector<std::int64_t>& numbers,
                                          std::size_t sound) {
  std::int64_t lost_bytes = 0;
  for (std::size_t i = numbers.size(); i > sound; --i) {
    const fs::path file = SegmentFile(folder, numbers[i - 1]);
    std::error_code unknown_size;
    lost_bytes += static_cast<std::int64_t>(fs::file_size(file, unknown_size));
    DIMWATCH_RETURN_IF_ERROR(Remove(file));
  }
  return lost_bytes;
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

  const fs::path folder_;
  std::deque<ClosedSegment> closed_;
  std::int64_t closed_bytes_ = 0;
  std::unique_ptr<LogSegment> current_;
  std::int64_t number_ = 0;    // of the current segment
  std::int64_t last_seq_ = 0;  // in the current segment; 0 if it is empty
};

// Replays the segments up to the first damage, and cuts off the rest.
absl::Status SampleLog::Impl::Open(const std::function<void(IngestItem)>& replay,
                                   Recovery& recovery) {
  const absl::StatusOr<std::vector<std::int64_t>> numbers = SegmentNumbers(folder_);
  DIMWATCH_RETURN_IF_ERROR(numbers.status());
  SegmentScan scan;
  std::size_t sound = 0;
  bool header_torn = false;
  for (const std::int64_t number : *numbers) {
    if (sound > 0 && (number != number_ + 1 || scan.sound_bytes < scan.file_bytes)) break;
    const absl::StatusOr<SegmentScan> next = ScanSegment(SegmentFile(folder_, number), replay);
    DIMWATCH_RETURN_IF_ERROR(next.status());
    header_torn = next->sound_bytes == 0 && next->torn;
    if (next->sound_bytes == 0) break;
    if (sound > 0) Close({number_, scan.file_bytes, scan.last_seq});
    scan = *next;
    number_ = number;
    ++sound;
    recovery.items += scan.items;
    if (scan.items > 0) recovery.last_seq = scan.last_seq;
  }
  const absl::StatusOr<std::int64_t> lost = RemoveBehind(folder_, *numbers, sound);
  DIMWATCH_RETURN_IF_ERROR(lost.status());
  recovery.lost_bytes = *lost + scan.file_bytes - scan.sound_bytes;
  const bool last_is_torn = sound == numbers->size() ? scan.torn : header_torn;
  recovery.torn = last_is_torn && sound + 1 >= numbers->size();
  if (sound == 0) return StartSegment(1);
  last_seq_ = scan.last_seq;
  auto segment = LogSegment::Open(SegmentFile(folder_, number_), scan.sound_bytes);
  DIMWATCH_RETURN_IF_ERROR(segment.status());
  current_ = *std::move(segment);
  return absl::OkStatus();
}

absl::Status SampleLog::Impl::StartSegment(std::int64_t number) {
  auto segment = LogSegment::Create(SegmentFile(folder_, number));
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
  last_seq_ = SeqOf(item);
  return absl::OkStatus();
}

absl::Status SampleLog::Impl::Trim(std::int64_t first_needed_seq) {
  while (!closed_.empty() && closed_.front().last_seq < first_needed_seq) {
    DIMWATCH_RETURN_IF_ERROR(Remove(SegmentFile(folder_, closed_.front().number)));
    closed_bytes_ -= closed_.front().bytes;
    closed_.pop_front();
  }
  if (closed_.empty() && last_seq_ < first_needed_seq && current_->bytes() > kKeepBytes) {
    DIMWATCH_RETURN_IF_ERROR(current_->Clear());
    last_seq_ = 0;
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
