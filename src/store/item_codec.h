// Items as bytes, for the sample log. Little-endian; vectors are kept as they came.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/store/ingest_item.h"

namespace dimwatch {

// An encoded item is `head` followed by `tail`, which refers to the item's vectors.
struct EncodedItem {
  std::string head;
  std::string_view tail;
};

// INVALID_ARGUMENT for a declaration whose names are not UTF-8. The result lives no longer than
// `item`.
absl::StatusOr<EncodedItem> EncodeItem(const IngestItem& item);

// The item that these bytes are; none if they are not exactly one. Never reads or allocates more
// than `bytes` holds.
std::optional<IngestItem> DecodeItem(std::string_view bytes);

}  // namespace dimwatch
