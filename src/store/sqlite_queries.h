// What the SQLite store asks of its tables. To be called within a transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/store/records.h"
#include "src/store/sqlite.h"
#include "src/store/store.h"

namespace dimwatch {

// The key of the run in the other tables. NOT_FOUND if there is none.
absl::StatusOr<std::int64_t> RunKey(SqliteConnection& connection, const std::string& run_id);

// As Store::Commit.
absl::Status ApplyChanges(SqliteConnection& connection, const RunChanges& changes);

// GLOB pattern of the ids that hidden runs get; no client may choose such a one.
inline constexpr const char* kHiddenRuns = "deleted *";
// From now on the run is not found by its id, which another one may take.
absl::Status HideRun(SqliteConnection& connection, std::int64_t run_key);
// Removes up to `limit` records of each kind of one hidden run, and the run itself once it has no
// more. Returns false if no run is hidden.
absl::StatusOr<bool> PurgeHidden(SqliteConnection& connection, int limit);

// As Store::ReadEvents.
absl::StatusOr<std::vector<EventRecord>> SelectEvents(SqliteConnection& connection,
                                                      std::int64_t run_key,
                                                      std::int64_t after_cursor, int limit);

// As Store::ReadEstimates, Store::ReadAttention and Store::ReadScalars.
template <typename Record>
absl::StatusOr<std::vector<Record>> SelectSeries(SqliteConnection& connection, std::int64_t run_key,
                                                 const SeriesQuery& query);

}  // namespace dimwatch
