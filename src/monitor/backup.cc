#include "src/monitor/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/monitor/stored_run.h"
#include "src/store/data_files.h"
#include "src/store/log_hold.h"
#include "src/store/log_segment.h"
#include "src/store/sqlite_store.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

namespace fs = std::filesystem;

absl::Status Check(const std::error_code& error, absl::string_view doing, const fs::path& path) {
  if (!error) return absl::OkStatus();
  return FileError(absl::StrCat(doing, " ", path.string()), error.value());
}

absl::Status CopyFile(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, error);
  return Check(error, "copying", from);
}

absl::Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  return Check(error, "creating", folder);
}

// The segments of one run. The last record may be cut short: it is then not part of the copy.
absl::Status CopyLog(const fs::path& from, const fs::path& to) {
  DIMWATCH_RETURN_IF_ERROR(MakeFolder(to));
  std::error_code error;
  for (fs::directory_iterator entry(from, error), end; !error && entry != end;
       entry.increment(error)) {
    DIMWATCH_RETURN_IF_ERROR(CopyFile(entry->path(), to / entry->path().filename()));
  }
  return Check(error, "listing", from);
}

absl::StatusOr<Backup> CopyAll(const DataFiles& from, const DataFiles& to) {
  std::error_code error;
  fs::create_directory(from.logs(), error);  // where there was no run yet
  const absl::StatusOr<LogHold> hold = LogHold::ToCopy(from.logs());
  DIMWATCH_RETURN_IF_ERROR(hold.status());
  DIMWATCH_RETURN_IF_ERROR(SqliteStore::Copy(from.database(), to.database()));
  if (fs::exists(from.engine_costs())) {
    DIMWATCH_RETURN_IF_ERROR(CopyFile(from.engine_costs(), to.engine_costs()));
  }
  const absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(to.database());
  DIMWATCH_RETURN_IF_ERROR(store.status());
  const absl::StatusOr<std::vector<RunRecord>> runs = (*store)->LoadRuns();
  DIMWATCH_RETURN_IF_ERROR(runs.status());
  Backup backup;
  for (const RunRecord& run : *runs) {
    ++backup.runs;
    if (run.end_time) continue;
    ++backup.live_runs;
    fs::path log = LogFolder(from.logs(), run.run_id);
    // It may have been deleted meanwhile.
    if (!fs::exists(log)) log = DeletedLogFolder(from.logs(), run.run_id);
    if (!fs::exists(log)) continue;  // set aside: it had no log
    DIMWATCH_RETURN_IF_ERROR(CopyLog(log, LogFolder(to.logs(), run.run_id)));
  }
  return backup;
}

absl::Status Synchronize(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return FileError(absl::StrCat("opening ", path.string()), errno);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  return error == 0 ? absl::OkStatus()
                    : FileError(absl::StrCat("synchronizing ", path.string()), error);
}

// Everything below `folder`, and its size.
absl::StatusOr<std::int64_t> SynchronizeAll(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    DIMWATCH_RETURN_IF_ERROR(Synchronize(entry->path()));
    if (entry->is_regular_file()) bytes += static_cast<std::int64_t>(entry->file_size());
  }
  DIMWATCH_RETURN_IF_ERROR(Check(error, "listing", folder));
  DIMWATCH_RETURN_IF_ERROR(Synchronize(folder));
  return bytes;
}

}  // namespace

absl::StatusOr<Backup> BackUp(const fs::path& from, const fs::path& to) {
  const DataFiles files{from};
  std::error_code error;
  if (!fs::exists(files.database(), error)) {
    return absl::NotFoundError(absl::StrCat("no server keeps its data in ", from.string(),
                                            ": there is no ", files.database().string()));
  }
  if (fs::exists(to, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is something at ", to.string(), "; name a place that is free"));
  }
  const fs::path unfinished = to.string() + ".unfinished";
  fs::remove_all(unfinished, error);
  const DataFiles copy{unfinished};
  DIMWATCH_RETURN_IF_ERROR(MakeFolder(copy.logs()));
  DIMWATCH_RETURN_IF_ERROR(MakeFolder(copy.folder));
  absl::StatusOr<Backup> backup = CopyAll(files, copy);
  if (!backup.ok()) {
    fs::remove_all(unfinished, error);
    return backup;
  }
  const absl::StatusOr<std::int64_t> bytes = SynchronizeAll(unfinished);
  DIMWATCH_RETURN_IF_ERROR(bytes.status());
  backup->bytes = *bytes;
  fs::rename(unfinished, to, error);
  DIMWATCH_RETURN_IF_ERROR(Check(error, "renaming", unfinished));
  return backup;
}

}  // namespace dimwatch
