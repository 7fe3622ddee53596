// A copy of everything that a server keeps, taken while it serves.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"

namespace dimwatch {

struct Backup {
  std::int64_t runs = 0;
  std::int64_t live_runs = 0;  // that have not ended: with their logs
  std::int64_t bytes = 0;      // of the copy
};

// Copies the data folder `from`, of a server that may be running, to `to`, which must not exist. A
// server that is started on the copy continues every run exactly from what was durable at a moment
// of the call: the records are those of one state of the store, and the logs reach at least as far.
// While it copies, no log is trimmed. Nothing is at `to` until the copy is whole and synchronized.
//
// NOT_FOUND if `from` holds no database, ALREADY_EXISTS if there is something at `to`, otherwise
// what the store or the file system says.
absl::StatusOr<Backup> BackUp(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace dimwatch
