// The tables of the SQLite store, and how an older file becomes a newer one.
//
//   runs       one row per run, as it stands; settings and probes are JSON
//   estimates  one row per probe and step that is not voided
//   attention  likewise, of the probes that watch attention maps
//   scalars    one row per name and step that is not voided
//   signals, decisions, rewinds, states
//              what happened, by cursor
//
// Times are nanoseconds since 1970, enumerations names, undefined numbers NULL.
#pragma once

#include "absl/status/status.h"
#include "src/store/sqlite.h"

namespace dimwatch {

inline constexpr int kSqliteSchemaVersion = 5;  // PRAGMA user_version

// Creates the tables, or brings them to kSqliteSchemaVersion, in one transaction.
// FAILED_PRECONDITION if the file belongs to a newer dimwatch or to another program.
absl::Status PrepareSchema(SqliteConnection& connection);

// DATA_LOSS if SQLite's quick_check finds the file damaged. Reads the whole file.
absl::Status QuickCheck(SqliteConnection& connection);

}  // namespace dimwatch
