// Records as rows of the tables in sqlite_schema.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/store/records.h"
#include "src/store/sqlite.h"
#include "src/store/status_macros.h"

namespace dimwatch {

// The table of a kind of record, and its columns in the order in which they are bound and read.
// For RunRecord and every kind of EventRecord.
template <typename Record>
struct RecordTable;

template <>
struct RecordTable<RunRecord> {
  static constexpr const char* kName = "runs";
  static constexpr const char* kColumns =
      "run_id, project, display_name, labels, user, hyperparameters, signals, policy, probes, "
      "state, create_time, end_time, last_sample_time, last_step, session_epoch, applied_seq, "
      "next_cursor, damage, stored_bytes";
};
template <>
struct RecordTable<EstimateRecord> {
  static constexpr const char* kName = "estimates";
  static constexpr const char* kColumns =
      "cursor, probe, step, complete, incomplete_reason, settings, mean, std, standard_error, "
      "quantiles, rows, nonfinite_rows, duplicate_rows, points, queries, invalid, variance, "
      "recall, seconds, enough_points, window_fill, rolling_mean, paired_change, "
      "paired_change_standard_error, create_time, harmonic_mean, harmonic_mean_standard_error, "
      "near_duplicates, scale_profile, recall_low, bias_bound, engine_reason, enough_recall, "
      "subsampled_reason";
};
template <>
struct RecordTable<AttentionRecord> {
  static constexpr const char* kName = "attention";
  static constexpr const char* kColumns =
      "cursor, probe, step, complete, incomplete_reason, settings, mean, std, standard_error, "
      "quantiles, prompts, invalid, baseline_step, baseline_change, baseline, create_time";
};
template <>
struct RecordTable<ScalarRecord> {
  static constexpr const char* kName = "scalars";
  static constexpr const char* kColumns = "cursor, name, step, value";
};
template <>
struct RecordTable<SignalRecord> {
  static constexpr const char* kName = "signals";
  static constexpr const char* kColumns =
      "cursor, probe, signal, state, step, reason, evidence, create_time";
};
template <>
struct RecordTable<DecisionRecord> {
  static constexpr const char* kName = "decisions";
  static constexpr const char* kColumns =
      "cursor, verdict, step, reason, best_step, mode, signals, create_time";
};
template <>
struct RecordTable<RewindRecord> {
  static constexpr const char* kName = "rewinds";
  static constexpr const char* kColumns = "cursor, probe, scalar, step";
};
template <>
struct RecordTable<StateRecord> {
  static constexpr const char* kName = "states";
  static constexpr const char* kColumns = "cursor, state, create_time";
};

template <>
struct RecordTable<SettingsRecord> {
  static constexpr const char* kName = "settings_changes";
  static constexpr const char* kColumns =
      "cursor, author, step, old_signals, new_signals, old_policy, new_policy, create_time";
};

// Inserts the run or overwrites its row, and returns its key in the other tables.
absl::StatusOr<std::int64_t> PutRun(SqliteConnection& connection, const RunRecord& run);

// Inserts a record of the run with this key. INTERNAL if its place is taken.
template <typename Record>
absl::Status InsertRecord(SqliteConnection& connection, std::int64_t run_key, const Record& record);

// The record in the current row of `query`. DATA_LOSS if it cannot be read; a run then comes back
// with `damage` and whatever could be read.
template <typename Record>
absl::StatusOr<Record> TakeRecord(SqliteQuery& query);

// The records that `rest` ("WHERE ... ORDER BY ... LIMIT ...", with these parameters) selects.
template <typename Record, typename... Parameters>
absl::StatusOr<std::vector<Record>> SelectRecords(SqliteConnection& connection, const char* rest,
                                                  const Parameters&... parameters) {
  using Table = RecordTable<Record>;
  absl::StatusOr<SqliteQuery> query = connection.Prepare(std::string("SELECT ") + Table::kColumns +
                                                         " FROM " + Table::kName + " " + rest);
  DIMWATCH_RETURN_IF_ERROR(query.status());
  query->Bind(parameters...);
  std::vector<Record> records;
  while (true) {
    const absl::StatusOr<bool> row = query->Next();
    DIMWATCH_RETURN_IF_ERROR(row.status());
    if (!*row) return records;
    absl::StatusOr<Record> record = TakeRecord<Record>(*query);
    DIMWATCH_RETURN_IF_ERROR(record.status());
    records.push_back(*std::move(record));
  }
}

}  // namespace dimwatch
