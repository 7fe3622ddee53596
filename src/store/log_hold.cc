#include "src/store/log_hold.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/log_segment.h"

namespace dimwatch {

absl::StatusOr<LogHold> LogHold::ToCopy(const std::filesystem::path& logs) {
  return Lock(logs, LOCK_EX);
}

absl::StatusOr<LogHold> LogHold::ToRemove(const std::filesystem::path& logs) {
  return Lock(logs, LOCK_SH | LOCK_NB);
}

absl::StatusOr<LogHold> LogHold::Lock(const std::filesystem::path& logs, int operation) {
  const std::filesystem::path file = logs / "hold";
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return FileError(absl::StrCat("opening ", file.string()), errno);
  LogHold hold(descriptor);
  while (::flock(descriptor, operation) != 0) {
    if (errno == EWOULDBLOCK) return absl::UnavailableError("the logs are being copied");
    if (errno != EINTR) return FileError(absl::StrCat("locking ", file.string()), errno);
  }
  return hold;
}

LogHold::LogHold(LogHold&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

LogHold::~LogHold() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace dimwatch
