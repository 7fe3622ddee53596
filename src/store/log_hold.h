// Keeps what logs hold from being removed while it is copied.
#pragma once

#include <filesystem>

#include "absl/status/statusor.h"

namespace dimwatch {

// A lock on all logs below one folder, between processes; the system releases it when a process
// dies. Whoever removes shares it, whoever copies has it alone.
class LogHold {
 public:
  // Waits for removals under way; there are none while it lives.
  static absl::StatusOr<LogHold> ToCopy(const std::filesystem::path& logs);
  // UNAVAILABLE, at once, while somebody copies.
  static absl::StatusOr<LogHold> ToRemove(const std::filesystem::path& logs);
  ~LogHold();
  LogHold(LogHold&& other) noexcept;
  LogHold& operator=(LogHold&&) = delete;

 private:
  static absl::StatusOr<LogHold> Lock(const std::filesystem::path& logs, int operation);
  explicit LogHold(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;  // -1: moved from
};

}  // namespace dimwatch
