// Records of a sample log whose checksum holds: bytes that are no item, or one that comes back.
#include "src/store/item_codec.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  const std::optional<IngestItem> item = DecodeItem({reinterpret_cast<const char*>(data), size});
  if (!item) return 0;
  const absl::StatusOr<EncodedItem> encoded = EncodeItem(*item);
  if (!encoded.ok()) return 0;  // names that are not UTF-8
  const std::string bytes = encoded->head + std::string(encoded->tail);
  const std::optional<IngestItem> again = DecodeItem(bytes);
  FUZZ_REQUIRE(again.has_value());
  const absl::StatusOr<EncodedItem> twice = EncodeItem(*again);
  FUZZ_REQUIRE(twice.ok() && twice->head + std::string(twice->tail) == bytes);
  return 0;
}
