#include "src/store/sqlite_schema.h"

#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

constexpr const char* kVersion1 = R"sql(
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  display_name TEXT NOT NULL,
  labels TEXT NOT NULL,
  user TEXT NOT NULL,
  hyperparameters TEXT NOT NULL,
  signals TEXT NOT NULL,
  policy TEXT NOT NULL,
  probes TEXT NOT NULL,
  state TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  end_time INTEGER,
  last_sample_time INTEGER,
  last_step INTEGER,
  session_epoch INTEGER NOT NULL,
  applied_seq INTEGER NOT NULL,
  next_cursor INTEGER NOT NULL,
  damage TEXT NOT NULL
);
CREATE TABLE estimates (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  probe TEXT NOT NULL,
  step INTEGER NOT NULL,
  complete INTEGER NOT NULL,
  incomplete_reason TEXT NOT NULL,
  settings TEXT NOT NULL,
  mean REAL,
  std REAL,
  standard_error REAL,
  quantiles TEXT NOT NULL,
  rows INTEGER NOT NULL,
  nonfinite_rows INTEGER NOT NULL,
  duplicate_rows INTEGER NOT NULL,
  points INTEGER NOT NULL,
  queries INTEGER NOT NULL,
  invalid INTEGER NOT NULL,
  variance REAL NOT NULL,
  recall REAL NOT NULL,
  seconds REAL NOT NULL,
  enough_points INTEGER NOT NULL,
  window_fill REAL NOT NULL,
  rolling_mean REAL,
  paired_change REAL,
  paired_change_standard_error REAL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
CREATE UNIQUE INDEX estimates_by_probe ON estimates (run, probe, step);
CREATE UNIQUE INDEX estimates_by_step ON estimates (run, step, probe);
CREATE TABLE scalars (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  name TEXT NOT NULL,
  step INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (run, cursor, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX scalars_by_name ON scalars (run, name, step);
CREATE UNIQUE INDEX scalars_by_step ON scalars (run, step, name);
CREATE TABLE signals (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  probe TEXT NOT NULL,
  signal TEXT NOT NULL,
  state TEXT NOT NULL,
  step INTEGER NOT NULL,
  reason TEXT NOT NULL,
  evidence TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
CREATE TABLE decisions (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  step INTEGER NOT NULL,
  reason TEXT NOT NULL,
  best_step INTEGER,
  mode TEXT NOT NULL,
  signals TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
CREATE TABLE rewinds (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  probe TEXT NOT NULL,
  scalar TEXT NOT NULL,
  step INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
CREATE TABLE states (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  state TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
)sql";

// What estimates said before there were these columns: nothing.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE estimates ADD COLUMN harmonic_mean REAL;
ALTER TABLE estimates ADD COLUMN harmonic_mean_standard_error REAL;
ALTER TABLE estimates ADD COLUMN near_duplicates INTEGER NOT NULL DEFAULT 0;
ALTER TABLE estimates ADD COLUMN scale_profile TEXT;
ALTER TABLE estimates ADD COLUMN recall_low REAL NOT NULL DEFAULT 1;
ALTER TABLE estimates ADD COLUMN bias_bound REAL NOT NULL DEFAULT 0;
ALTER TABLE estimates ADD COLUMN engine_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE estimates ADD COLUMN enough_recall INTEGER NOT NULL DEFAULT 1;
)sql";

constexpr const char* kVersion3 = R"sql(
CREATE TABLE attention (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  probe TEXT NOT NULL,
  step INTEGER NOT NULL,
  complete INTEGER NOT NULL,
  incomplete_reason TEXT NOT NULL,
  settings TEXT NOT NULL,
  mean REAL,
  std REAL,
  standard_error REAL,
  quantiles TEXT NOT NULL,
  prompts INTEGER NOT NULL,
  invalid INTEGER NOT NULL,
  baseline_step INTEGER,
  baseline_change TEXT,
  baseline TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
CREATE UNIQUE INDEX attention_by_probe ON attention (run, probe, step);
CREATE UNIQUE INDEX attention_by_step ON attention (run, step, probe);
)sql";

constexpr const char* kVersion4 = R"sql(
CREATE TABLE settings_changes (
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  cursor INTEGER NOT NULL,
  author TEXT NOT NULL,
  step INTEGER,
  old_signals TEXT NOT NULL,
  new_signals TEXT NOT NULL,
  old_policy TEXT NOT NULL,
  new_policy TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  PRIMARY KEY (run, cursor)
) WITHOUT ROWID;
)sql";

constexpr const char* kVersion5 = R"sql(
ALTER TABLE estimates ADD COLUMN subsampled_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
)sql";

// Entry v brings a file of version v to version v + 1. Released entries never change.
constexpr std::array<const char*, kSqliteSchemaVersion> kMigrations = {
    kVersion1, kVersion2, kVersion3, kVersion4, kVersion5};

}  // namespace

absl::Status PrepareSchema(SqliteConnection& connection) {
  absl::StatusOr<SqliteTransaction> transaction =
      SqliteTransaction::Begin(connection, SqliteTransaction::Kind::kWrite);
  DIMWATCH_RETURN_IF_ERROR(transaction.status());
  const absl::StatusOr<std::int64_t> version = connection.Integer("PRAGMA user_version");
  DIMWATCH_RETURN_IF_ERROR(version.status());
  const absl::StatusOr<std::int64_t> tables =
      connection.Integer("SELECT count(*) FROM sqlite_schema");
  DIMWATCH_RETURN_IF_ERROR(tables.status());
  if (*version > kSqliteSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", *version, ", written by a newer dimwatch; ",
        "this one knows versions up to ", kSqliteSchemaVersion));
  }
  if (*version < 0 || (*version == 0 && *tables > 0)) {
    return absl::FailedPreconditionError("the database belongs to another program");
  }
  for (auto from = static_cast<std::size_t>(*version); from < kMigrations.size(); ++from) {
    DIMWATCH_RETURN_IF_ERROR(connection.Execute(kMigrations[from]));
  }
  if (*version < kSqliteSchemaVersion) {
    DIMWATCH_RETURN_IF_ERROR(
        connection.Execute(absl::StrCat("PRAGMA user_version = ", kSqliteSchemaVersion)));
  }
  return transaction->Commit();
}

absl::Status QuickCheck(SqliteConnection& connection) {
  absl::StatusOr<SqliteQuery> query = connection.Prepare("PRAGMA quick_check(1)");
  DIMWATCH_RETURN_IF_ERROR(query.status());
  const absl::StatusOr<bool> row = query->Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  const std::string verdict = *row ? query->Text() : "no answer from quick_check";
  return verdict == "ok" ? absl::OkStatus() : absl::DataLossError(verdict);
}

}  // namespace dimwatch
