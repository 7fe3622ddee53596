#include "server/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dimwatch::server {
namespace {

absl::Status SystemError(absl::string_view what, const std::filesystem::path& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat(what, " '", path.string(), "'"));
}

// Who holds the lock, as it wrote itself into the file.
std::string Holder(int lock) {
  char text[32] = {};
  const ssize_t length = pread(lock, text, sizeof(text) - 1, 0);
  return length > 0 ? absl::StrCat(" (process ",
                                   absl::string_view(text, static_cast<std::size_t>(length)), ")")
                    : "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataFolder>> DataFolder::Lock(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::create_directories(folder, error)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  if (error) return SystemError("cannot create the data folder", folder, error.value());
  const std::filesystem::path file = folder / "lock";
  const int lock = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return SystemError("cannot open", file, errno);
  std::unique_ptr<DataFolder> held(new DataFolder(folder, lock));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("cannot lock", file, errno);
    return absl::FailedPreconditionError(
        absl::StrCat("the data folder '", folder.string(), "' is in use by another dimwatch-server",
                     Holder(lock), "; stop it, or give this one another --data-dir"));
  }
  const std::string pid = absl::StrCat(getpid());
  if (ftruncate(lock, 0) != 0 ||
      pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return SystemError("cannot write", file, errno);
  }
  return held;
}

DataFolder::DataFolder(std::filesystem::path folder, int lock)
    : files_{std::move(folder)}, lock_(lock) {}

DataFolder::~DataFolder() { close(lock_); }

}  // namespace dimwatch::server
