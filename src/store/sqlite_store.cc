#include "src/store/sqlite_store.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <system_error>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/record_rows.h"
#include "src/store/sqlite.h"
#include "src/store/sqlite_queries.h"
#include "src/store/sqlite_schema.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

constexpr std::size_t kIdleReaders = 4;
constexpr std::uintmax_t kCheckedBytes = 256 << 20;  // up to this at every start: under a second
constexpr int kPurgedRecords = 500;                  // per transaction: some milliseconds

constexpr const char* kBehindCursor = "WHERE run = ? AND cursor > ? ORDER BY cursor LIMIT ?";

absl::StatusOr<std::unique_ptr<SqliteConnection>> Connect(const std::filesystem::path& file,
                                                          const char* pragmas) {
  absl::StatusOr<std::unique_ptr<SqliteConnection>> connection = SqliteConnection::Open(file);
  DIMWATCH_RETURN_IF_ERROR(connection.status());
  DIMWATCH_RETURN_IF_ERROR((*connection)->Execute(pragmas));
  return connection;
}

constexpr const char* kWriterPragmas =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON";
constexpr const char* kReaderPragmas = "PRAGMA query_only = ON";

// A clean stop leaves no write-ahead log.
bool MustBeChecked(const std::filesystem::path& file) {
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(file, missing);
  return std::filesystem::exists(file.string() + "-wal") || (!missing && bytes <= kCheckedBytes);
}

auto& ListFor(RunChanges& changes, const EstimateRecord&) { return changes.estimates; }
auto& ListFor(RunChanges& changes, const AttentionRecord&) { return changes.attention; }
auto& ListFor(RunChanges& changes, const ScalarRecord&) { return changes.scalars; }
auto& ListFor(RunChanges& changes, const SignalRecord&) { return changes.signals; }
auto& ListFor(RunChanges& changes, const DecisionRecord&) { return changes.decisions; }
auto& ListFor(RunChanges& changes, const RewindRecord&) { return changes.rewinds; }
auto& ListFor(RunChanges& changes, const StateRecord&) { return changes.states; }
auto& ListFor(RunChanges& changes, const SettingsRecord&) { return changes.settings; }

// Renames the file, with its write-ahead log, to FILE.damaged-<n>; returns the new name.
absl::StatusOr<std::filesystem::path> SetAside(const std::filesystem::path& file) {
  std::filesystem::path aside;
  int n = 0;
  do {
    aside = absl::StrCat(file.string(), ".damaged-", ++n);
  } while (std::filesystem::exists(aside));
  std::error_code error;
  std::filesystem::rename(file, aside, error);
  if (error) {
    return absl::InternalError(absl::StrCat("cannot rename the damaged ", file.string(), " to ",
                                            aside.string(), ": ", error.message()));
  }
  std::filesystem::rename(file.string() + "-wal", aside.string() + "-wal", error);
  std::filesystem::remove(file.string() + "-shm", error);
  return aside;
}

// Everything that is known of a run.
absl::StatusOr<RunChanges> ReadWhole(Store& store, const RunRecord& run) {
  if (!run.damage.empty()) return absl::DataLossError(run.damage);
  absl::StatusOr<std::vector<EventRecord>> events =
      store.ReadEvents(run.run_id, 0, std::numeric_limits<int>::max());
  DIMWATCH_RETURN_IF_ERROR(events.status());
  RunChanges changes;
  changes.run = run;
  for (EventRecord& event : *events) {
    std::visit([&](auto& record) { ListFor(changes, record).push_back(std::move(record)); }, event);
  }
  return changes;
}

// Copies what can be read of every run of `from` to `to`.
absl::Status Rescue(Store& from, Store& to, SqliteStore::Recovery& recovery) {
  const absl::StatusOr<std::vector<RunRecord>> runs = from.LoadRuns();
  if (!runs.ok()) return absl::OkStatus();  // nothing can be read
  for (const RunRecord& run : *runs) {
    const absl::StatusOr<RunChanges> changes = ReadWhole(from, run);
    if (changes.ok() && to.Commit(*changes).ok()) {
      ++recovery.rescued_runs;
      continue;
    }
    RunChanges name_only;
    name_only.run = run;
    name_only.run.damage = changes.ok() ? "its records contradict each other"
                                        : std::string(changes.status().message());
    DIMWATCH_RETURN_IF_ERROR(to.Commit(name_only));
    ++recovery.damaged_runs;
  }
  return absl::OkStatus();
}

}  // namespace

// One connection writes, under a mutex; each concurrent reader has one of its own.
class SqliteStore::Impl {
 public:
  Impl(std::filesystem::path file, std::unique_ptr<SqliteConnection> writer)
      : file_(std::move(file)), writer_(std::move(writer)) {}

  // Calls `action`(connection), which returns a Status, in a write transaction.
  template <typename Action>
  absl::Status Write(Action action) {
    const std::lock_guard lock(writer_mutex_);
    absl::StatusOr<SqliteTransaction> transaction =
        SqliteTransaction::Begin(*writer_, SqliteTransaction::Kind::kWrite);
    DIMWATCH_RETURN_IF_ERROR(transaction.status());
    DIMWATCH_RETURN_IF_ERROR(action(*writer_));
    return transaction->Commit();
  }

  // Calls `action`(connection), which returns a StatusOr, on one unchanging state of the file.
  template <typename Action>
  std::invoke_result_t<Action, SqliteConnection&> Read(Action action) {
    absl::StatusOr<std::unique_ptr<SqliteConnection>> reader = Borrow();
    DIMWATCH_RETURN_IF_ERROR(reader.status());
    auto result = ReadOn(**reader, action);
    Return(*std::move(reader));
    return result;
  }

  // Calls `action`(connection, run key) likewise.
  template <typename Action>
  std::invoke_result_t<Action, SqliteConnection&, std::int64_t> ReadRun(const std::string& run_id,
                                                                        Action action) {
    using Result = std::invoke_result_t<Action, SqliteConnection&, std::int64_t>;
    return Read([&](SqliteConnection& connection) -> Result {
      const absl::StatusOr<std::int64_t> key = RunKey(connection, run_id);
      DIMWATCH_RETURN_IF_ERROR(key.status());
      return action(connection, *key);
    });
  }

 private:
  template <typename Action>
  static std::invoke_result_t<Action, SqliteConnection&> ReadOn(SqliteConnection& connection,
                                                                Action& action) {
    const absl::StatusOr<SqliteTransaction> transaction =
        SqliteTransaction::Begin(connection, SqliteTransaction::Kind::kRead);
    DIMWATCH_RETURN_IF_ERROR(transaction.status());
    return action(connection);
  }

  absl::StatusOr<std::unique_ptr<SqliteConnection>> Borrow() {
    {
      const std::lock_guard lock(readers_mutex_);
      if (!idle_readers_.empty()) {
        std::unique_ptr<SqliteConnection> reader = std::move(idle_readers_.back());
        idle_readers_.pop_back();
        return reader;
      }
    }
    return Connect(file_, kReaderPragmas);
  }

  void Return(std::unique_ptr<SqliteConnection> reader) {
    const std::lock_guard lock(readers_mutex_);
    if (idle_readers_.size() < kIdleReaders) idle_readers_.push_back(std::move(reader));
  }

  const std::filesystem::path file_;
  std::mutex writer_mutex_;
  std::unique_ptr<SqliteConnection> writer_;  // guarded by writer_mutex_; closed last
  std::mutex readers_mutex_;
  std::vector<std::unique_ptr<SqliteConnection>> idle_readers_;  // guarded by readers_mutex_
};

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::OpenSound(
    const std::filesystem::path& file) {
  const bool checked = MustBeChecked(file);
  absl::StatusOr<std::unique_ptr<SqliteConnection>> writer = Connect(file, kWriterPragmas);
  DIMWATCH_RETURN_IF_ERROR(writer.status());
  if (checked) DIMWATCH_RETURN_IF_ERROR(QuickCheck(**writer));
  DIMWATCH_RETURN_IF_ERROR(PrepareSchema(**writer));
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::make_unique<Impl>(file, *std::move(writer))));
}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Replace(
    const std::filesystem::path& damaged, const absl::Status& damage, Recovery& recovery) {
  const absl::StatusOr<std::filesystem::path> aside = SetAside(damaged);
  DIMWATCH_RETURN_IF_ERROR(aside.status());
  recovery.set_aside = *aside;
  absl::StatusOr<std::unique_ptr<SqliteStore>> fresh = OpenSound(damaged);
  DIMWATCH_RETURN_IF_ERROR(fresh.status());
  SqliteStore remains(std::make_unique<Impl>(*aside, nullptr));
  DIMWATCH_RETURN_IF_ERROR(Rescue(remains, **fresh, recovery));
  recovery.message =
      absl::StrCat(damaged.string(), " is damaged (", std::string(damage.message()),
                   ") and was renamed to ", aside->string(), "; ", recovery.rescued_runs,
                   " runs were copied whole, of ", recovery.damaged_runs, " only the name");
  return fresh;
}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::filesystem::path& file,
                                                               Recovery* recovery) {
  Recovery unread;
  Recovery& found = recovery != nullptr ? *recovery : unread;
  found = Recovery();
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  if (error) {
    return absl::InternalError(
        absl::StrCat("cannot create ", file.parent_path().string(), ": ", error.message()));
  }
  absl::StatusOr<std::unique_ptr<SqliteStore>> store = OpenSound(file);
  if (!absl::IsDataLoss(store.status())) return store;
  return Replace(file, store.status(), found);
}

absl::Status SqliteStore::Copy(const std::filesystem::path& file, const std::filesystem::path& to) {
  const absl::StatusOr<std::unique_ptr<SqliteConnection>> connection = SqliteConnection::Open(file);
  DIMWATCH_RETURN_IF_ERROR(connection.status());
  absl::StatusOr<SqliteQuery> copy = (*connection)->Prepare("VACUUM INTO ?");
  DIMWATCH_RETURN_IF_ERROR(copy.status());
  return copy->Bind(to.string()).Run();
}

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

absl::Status SqliteStore::Commit(const RunChanges& changes) {
  return impl_->Write(
      [&](SqliteConnection& connection) { return ApplyChanges(connection, changes); });
}

absl::Status SqliteStore::DeleteRun(const std::string& run_id) {
  return impl_->Write([&](SqliteConnection& connection) -> absl::Status {
    const absl::StatusOr<std::int64_t> key = RunKey(connection, run_id);
    DIMWATCH_RETURN_IF_ERROR(key.status());
    return HideRun(connection, *key);
  });
}

absl::StatusOr<bool> SqliteStore::Purge() {
  bool purged = false;
  const absl::Status status = impl_->Write([&](SqliteConnection& connection) -> absl::Status {
    const absl::StatusOr<bool> some = PurgeHidden(connection, kPurgedRecords);
    DIMWATCH_RETURN_IF_ERROR(some.status());
    purged = *some;
    return absl::OkStatus();
  });
  DIMWATCH_RETURN_IF_ERROR(status);
  return purged;
}

absl::StatusOr<std::vector<RunRecord>> SqliteStore::LoadRuns() {
  return impl_->Read([](SqliteConnection& connection) {
    return SelectRecords<RunRecord>(connection, "WHERE run_id NOT GLOB ? ORDER BY create_time, id",
                                    kHiddenRuns);
  });
}

absl::StatusOr<std::vector<EstimateRecord>> SqliteStore::ReadEstimates(const std::string& run_id,
                                                                       const SeriesQuery& query) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectSeries<EstimateRecord>(connection, key, query);
  });
}

absl::StatusOr<std::vector<AttentionRecord>> SqliteStore::ReadAttention(const std::string& run_id,
                                                                        const SeriesQuery& query) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectSeries<AttentionRecord>(connection, key, query);
  });
}

absl::StatusOr<std::vector<ScalarRecord>> SqliteStore::ReadScalars(const std::string& run_id,
                                                                   const SeriesQuery& query) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectSeries<ScalarRecord>(connection, key, query);
  });
}

absl::StatusOr<std::vector<SignalRecord>> SqliteStore::ReadSignals(const std::string& run_id,
                                                                   std::int64_t after_cursor,
                                                                   int limit) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectRecords<SignalRecord>(connection, kBehindCursor, key, after_cursor,
                                       std::max(limit, 0));
  });
}

absl::StatusOr<std::vector<SettingsRecord>> SqliteStore::ReadSettings(const std::string& run_id,
                                                                      std::int64_t after_cursor,
                                                                      int limit) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectRecords<SettingsRecord>(connection, kBehindCursor, key, after_cursor,
                                         std::max(limit, 0));
  });
}

absl::StatusOr<std::vector<DecisionRecord>> SqliteStore::ReadDecisions(const std::string& run_id,
                                                                       std::int64_t after_cursor,
                                                                       int limit) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectRecords<DecisionRecord>(connection, kBehindCursor, key, after_cursor,
                                         std::max(limit, 0));
  });
}

absl::StatusOr<std::vector<EventRecord>> SqliteStore::ReadEvents(const std::string& run_id,
                                                                 std::int64_t after_cursor,
                                                                 int limit) {
  return impl_->ReadRun(run_id, [&](SqliteConnection& connection, std::int64_t key) {
    return SelectEvents(connection, key, after_cursor, limit);
  });
}

}  // namespace dimwatch
