#include "src/store/sqlite_queries.h"

#include <algorithm>
#include <concepts>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/record_rows.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();

// Deletes what a rewind voids. A probe has estimates of one kind only.
absl::Status ApplyRewind(SqliteConnection& connection, std::int64_t run_key,
                         const RewindRecord& rewind) {
  const bool of_probe = !rewind.probe.empty();
  const auto erase = [&](const char* what, const std::string& name) -> absl::Status {
    absl::StatusOr<SqliteQuery> voided = connection.Prepare(what);
    DIMWATCH_RETURN_IF_ERROR(voided.status());
    voided->Bind(run_key, name, rewind.step.value);
    return voided->Run();
  };
  if (of_probe) {
    DIMWATCH_RETURN_IF_ERROR(
        erase("DELETE FROM estimates WHERE run = ? AND probe = ? AND step >= ?", rewind.probe));
    DIMWATCH_RETURN_IF_ERROR(
        erase("DELETE FROM attention WHERE run = ? AND probe = ? AND step >= ?", rewind.probe));
  } else {
    DIMWATCH_RETURN_IF_ERROR(
        erase("DELETE FROM scalars WHERE run = ? AND name = ? AND step >= ?", rewind.scalar));
  }
  return InsertRecord(connection, run_key, rewind);
}

template <typename Record>
absl::Status InsertAll(SqliteConnection& connection, std::int64_t run_key,
                       const std::vector<Record>& records) {
  for (const Record& record : records) {
    DIMWATCH_RETURN_IF_ERROR(InsertRecord(connection, run_key, record));
  }
  return absl::OkStatus();
}

// The cursor of the last of the first `limit` events behind `after_cursor`.
absl::StatusOr<std::int64_t> LastCursor(SqliteConnection& connection, std::int64_t run_key,
                                        std::int64_t after_cursor, int limit) {
  absl::StatusOr<SqliteQuery> query = connection.Prepare(
      "SELECT coalesce(max(cursor), ?2) FROM ("
      "SELECT cursor FROM estimates WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM attention WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM scalars WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM signals WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM decisions WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM rewinds WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM settings_changes WHERE run = ?1 AND cursor > ?2 UNION ALL "
      "SELECT cursor FROM states WHERE run = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3)");
  DIMWATCH_RETURN_IF_ERROR(query.status());
  const absl::StatusOr<bool> row = query->Bind(run_key, after_cursor, std::max(limit, 0)).Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  return query->Int();
}

template <typename Record>
absl::Status AppendEvents(SqliteConnection& connection, std::int64_t run_key,
                          std::int64_t after_cursor, std::int64_t last_cursor,
                          std::vector<EventRecord>& events) {
  absl::StatusOr<std::vector<Record>> records = SelectRecords<Record>(
      connection, "WHERE run = ? AND cursor > ? AND cursor <= ? ORDER BY cursor", run_key,
      after_cursor, last_cursor);
  DIMWATCH_RETURN_IF_ERROR(records.status());
  std::move(records->begin(), records->end(), std::back_inserter(events));
  return absl::OkStatus();
}

// Removes the first `limit` cursors of the run from `table`; returns how many there were.
absl::StatusOr<std::int64_t> PurgeTable(SqliteConnection& connection, const std::string& table,
                                        std::int64_t run_key, int limit) {
  absl::StatusOr<SqliteQuery> bounds = connection.Prepare(
      absl::StrCat("SELECT count(*), coalesce(max(cursor), 0) FROM (SELECT cursor FROM ", table,
                   " WHERE run = ? ORDER BY cursor LIMIT ?)"));
  DIMWATCH_RETURN_IF_ERROR(bounds.status());
  const absl::StatusOr<bool> row = bounds->Bind(run_key, limit).Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  const std::int64_t count = bounds->Int();
  const std::int64_t last = bounds->Int();
  absl::StatusOr<SqliteQuery> erase =
      connection.Prepare(absl::StrCat("DELETE FROM ", table, " WHERE run = ? AND cursor <= ?"));
  DIMWATCH_RETURN_IF_ERROR(erase.status());
  DIMWATCH_RETURN_IF_ERROR(erase->Bind(run_key, last).Run());
  return count;
}

std::int64_t CursorOf(const EventRecord& event) {
  return std::visit([](const auto& record) { return record.cursor; }, event);
}

}  // namespace

absl::StatusOr<std::int64_t> RunKey(SqliteConnection& connection, const std::string& run_id) {
  absl::StatusOr<SqliteQuery> query = connection.Prepare("SELECT id FROM runs WHERE run_id = ?");
  DIMWATCH_RETURN_IF_ERROR(query.status());
  const absl::StatusOr<bool> row = query->Bind(run_id).Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  if (!*row) return absl::NotFoundError(absl::StrCat("run '", run_id, "' is not known"));
  return query->Int();
}

absl::Status ApplyChanges(SqliteConnection& connection, const RunChanges& changes) {
  const absl::StatusOr<std::int64_t> key = PutRun(connection, changes.run);
  DIMWATCH_RETURN_IF_ERROR(key.status());
  for (const RewindRecord& rewind : changes.rewinds) {
    DIMWATCH_RETURN_IF_ERROR(ApplyRewind(connection, *key, rewind));
  }
  DIMWATCH_RETURN_IF_ERROR(InsertAll(connection, *key, changes.estimates));
  DIMWATCH_RETURN_IF_ERROR(InsertAll(connection, *key, changes.attention));
  DIMWATCH_RETURN_IF_ERROR(InsertAll(connection, *key, changes.scalars));
  DIMWATCH_RETURN_IF_ERROR(InsertAll(connection, *key, changes.signals));
  DIMWATCH_RETURN_IF_ERROR(InsertAll(connection, *key, changes.decisions));
  DIMWATCH_RETURN_IF_ERROR(InsertAll(connection, *key, changes.states));
  return InsertAll(connection, *key, changes.settings);
}

absl::Status HideRun(SqliteConnection& connection, std::int64_t run_key) {
  absl::StatusOr<SqliteQuery> query =
      connection.Prepare("UPDATE runs SET run_id = 'deleted ' || id WHERE id = ?");
  DIMWATCH_RETURN_IF_ERROR(query.status());
  return query->Bind(run_key).Run();
}

absl::StatusOr<bool> PurgeHidden(SqliteConnection& connection, int limit) {
  absl::StatusOr<SqliteQuery> hidden =
      connection.Prepare("SELECT id FROM runs WHERE run_id GLOB ? LIMIT 1");
  DIMWATCH_RETURN_IF_ERROR(hidden.status());
  const absl::StatusOr<bool> row = hidden->Bind(kHiddenRuns).Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  if (!*row) return false;
  const std::int64_t run_key = hidden->Int();
  DIMWATCH_RETURN_IF_ERROR(hidden->TakeStatus());
  std::int64_t left = 0;
  for (const char* table :
       {"estimates", "attention", "scalars", "signals", "decisions", "rewinds", "states"}) {
    const absl::StatusOr<std::int64_t> some = PurgeTable(connection, table, run_key, limit);
    DIMWATCH_RETURN_IF_ERROR(some.status());
    left += *some;
  }
  if (left > 0) return true;
  absl::StatusOr<SqliteQuery> last = connection.Prepare("DELETE FROM runs WHERE id = ?");
  DIMWATCH_RETURN_IF_ERROR(last.status());
  DIMWATCH_RETURN_IF_ERROR(last->Bind(run_key).Run());
  return true;
}

absl::StatusOr<std::vector<EventRecord>> SelectEvents(SqliteConnection& connection,
                                                      std::int64_t run_key,
                                                      std::int64_t after_cursor, int limit) {
  const absl::StatusOr<std::int64_t> last = LastCursor(connection, run_key, after_cursor, limit);
  DIMWATCH_RETURN_IF_ERROR(last.status());
  std::vector<EventRecord> events;
  absl::Status status;
  const auto append = [&]<typename... Records>(std::variant<Records...>*) {
    (status.Update(AppendEvents<Records>(connection, run_key, after_cursor, *last, events)), ...);
  };
  append(static_cast<EventRecord*>(nullptr));
  DIMWATCH_RETURN_IF_ERROR(status);
  std::ranges::stable_sort(events, {}, CursorOf);
  return events;
}

template <typename Record>
absl::StatusOr<std::vector<Record>> SelectSeries(SqliteConnection& connection, std::int64_t run_key,
                                                 const SeriesQuery& query) {
  constexpr bool kOfProbe = !std::same_as<Record, ScalarRecord>;
  const std::int64_t first = query.min_step.value_or(Step{kLowest}).value;
  const std::int64_t last = query.max_step.value_or(Step{kHighest}).value;
  const auto [after_step, after_name] = query.after.value_or(std::pair(Step{kLowest}, ""));
  const std::int64_t from = std::max(first, after_step.value);
  const int limit = std::max(query.limit, 0);
  const bool profiled = std::same_as<Record, EstimateRecord> && query.with_scale_profile;
  if (query.name.empty()) {
    return SelectRecords<Record>(
        connection,
        profiled   ? "WHERE run = ? AND step >= ? AND step <= ? AND (step, probe) > (?, ?) "
                     "AND scale_profile IS NOT NULL ORDER BY step, probe LIMIT ?"
        : kOfProbe ? "WHERE run = ? AND step >= ? AND step <= ? AND (step, probe) > (?, ?) "
                     "ORDER BY step, probe LIMIT ?"
                   : "WHERE run = ? AND step >= ? AND step <= ? AND (step, name) > (?, ?) "
                     "ORDER BY step, name LIMIT ?",
        run_key, from, last, after_step.value, after_name, limit);
  }
  return SelectRecords<Record>(
      connection,
      profiled   ? "WHERE run = ? AND probe = ? AND step >= ? AND step <= ? AND (step, probe) > "
                   "(?, ?) AND scale_profile IS NOT NULL ORDER BY step LIMIT ?"
      : kOfProbe ? "WHERE run = ? AND probe = ? AND step >= ? AND step <= ? AND (step, probe) > "
                   "(?, ?) ORDER BY step LIMIT ?"
                 : "WHERE run = ? AND name = ? AND step >= ? AND step <= ? AND (step, name) > "
                   "(?, ?) ORDER BY step LIMIT ?",
      run_key, query.name, from, last, after_step.value, after_name, limit);
}

template absl::StatusOr<std::vector<EstimateRecord>> SelectSeries(SqliteConnection&, std::int64_t,
                                                                  const SeriesQuery&);
template absl::StatusOr<std::vector<AttentionRecord>> SelectSeries(SqliteConnection&, std::int64_t,
                                                                   const SeriesQuery&);
template absl::StatusOr<std::vector<ScalarRecord>> SelectSeries(SqliteConnection&, std::int64_t,
                                                                const SeriesQuery&);

}  // namespace dimwatch
