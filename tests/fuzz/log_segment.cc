// A segment that was written whole and then damaged: what is before the damage comes back, nothing
// else but what was written, and what is appended after it, too. Nothing but zeroes behind whole
// records is no damage.
#include "src/store/log_segment.h"

#include <algorithm>
#include <vector>

#include "src/store/item_codec.h"
#include "tests/fuzz/fuzz.h"

namespace dimwatch {
namespace {

IngestItem ItemOf(std::int64_t seq, fuzz::Choices& choices) {
  if (choices.OneIn(2)) return ScalarItem{seq, Step{seq}, {{"train/loss", choices.Real()}}};
  SampleItem item;
  item.seq = seq;
  item.probe = "train/last";
  item.rows = 1;
  item.data = choices.Take(8);
  item.dim = static_cast<std::int64_t>(item.data.size() / sizeof(float));
  item.data.resize(static_cast<std::size_t>(item.dim) * sizeof(float));
  return item;
}

std::string Encoded(const IngestItem& item) {
  const absl::StatusOr<EncodedItem> encoded = EncodeItem(item);
  FUZZ_REQUIRE(encoded.ok());
  return encoded->head + std::string(encoded->tail);
}

void Append(LogSegment& segment, const IngestItem& item) {
  const absl::StatusOr<EncodedItem> encoded = EncodeItem(item);
  FUZZ_REQUIRE(encoded.ok() && segment.Append(encoded->head, encoded->tail).ok());
}

std::string Content(const std::filesystem::path& path) {
  std::string bytes(std::filesystem::file_size(path), '\0');
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  FUZZ_REQUIRE(file != nullptr);
  FUZZ_REQUIRE(std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size());
  std::fclose(file);
  return bytes;
}

// Returns where the first changed byte is, or would be.
std::size_t Damage(std::string& bytes, fuzz::Choices& choices) {
  const std::size_t place = (choices.Below(256) * 256 + choices.Below(256)) % (bytes.size() + 1);
  if (choices.OneIn(2) || place == bytes.size()) {
    const auto tail = static_cast<std::size_t>(choices.Number() & 31);
    bytes.resize(place);
    bytes.append(tail, static_cast<char>(choices.Byte()));
  } else {
    bytes[place] = static_cast<char>(bytes[place] ^ (1 << choices.Below(8)));
  }
  return place;
}

struct Read {
  SegmentScan scan;
  std::vector<std::string> items;
};

Read Scan(const std::filesystem::path& path) {
  Read read;
  const absl::StatusOr<SegmentScan> scan =
      ScanSegment(path, [&](const IngestItem& item) { read.items.push_back(Encoded(item)); });
  if (!scan.ok()) return read;  // of a newer version
  FUZZ_REQUIRE(scan->items == std::ssize(read.items));
  FUZZ_REQUIRE(scan->sound_bytes <= scan->file_bytes);
  read.scan = *scan;
  return read;
}

}  // namespace
}  // namespace dimwatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  fuzz::Choices choices(data, size);
  const fuzz::MemoryFile whole("");
  std::vector<std::string> written;
  std::vector<std::size_t> ends;
  {
    const auto segment = LogSegment::Create(whole.path(), 0);
    FUZZ_REQUIRE(segment.ok());
    for (std::size_t items = 1 + choices.Below(6); written.size() < items;) {
      const IngestItem item = ItemOf(std::ssize(written) + 1, choices);
      Append(**segment, item);
      written.push_back(Encoded(item));
      ends.push_back(static_cast<std::size_t>((*segment)->bytes()));
    }
  }
  std::string bytes = Content(whole.path());
  const std::size_t place = Damage(bytes, choices);
  const fuzz::MemoryFile damaged(bytes);
  const Read read = Scan(damaged.path());
  FUZZ_REQUIRE(read.items.size() <= written.size());
  FUZZ_REQUIRE(std::equal(read.items.begin(), read.items.end(), written.begin()));
  if (place >= kSegmentHeaderBytes) {
    const auto whole_ones = std::upper_bound(ends.begin(), ends.end(), place) - ends.begin();
    FUZZ_REQUIRE(std::ssize(read.items) >= whole_ones);
  }
  const bool ends_in_zeroes =
      place < bytes.size() && bytes.find_first_not_of('\0', place) == std::string::npos;
  if (ends_in_zeroes && std::find(ends.begin(), ends.end(), place) != ends.end()) {
    FUZZ_REQUIRE(read.scan.torn && read.scan.sound_bytes == static_cast<std::int64_t>(place));
  }
  if (read.scan.sound_bytes == 0) return 0;
  const auto segment = LogSegment::Open(damaged.path(), read.scan.sound_bytes);
  FUZZ_REQUIRE(segment.ok());
  Append(**segment, ScalarItem{100, Step{100}, {{"train/loss", 1.0}}});
  const Read after = Scan(damaged.path());
  FUZZ_REQUIRE(after.items.size() == read.items.size() + 1 && !after.scan.torn);
  return 0;
}
