#include "src/store/record_rows.h"

#include <algorithm>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/enum_names.h"
#include "src/store/settings_json.h"

namespace dimwatch {
namespace {

// Each record's fields in the order of RecordTable::kColumns, for binding and for reading.
template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, RunRecord>
void VisitFields(Visitor& visit, Record& run) {
  visit(run.run_id, run.project, run.display_name, run.labels, run.user, run.hyperparameters_json,
        run.signals, run.policy, run.probes, run.state, run.create_time, run.end_time,
        run.last_sample_time, run.last_step, run.session_epoch, run.applied_seq, run.next_cursor,
        run.damage, run.stored_bytes);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, EstimateRecord>
void VisitFields(Visitor& visit, Record& record) {
  auto& estimate = record.estimate;
  visit(record.cursor, record.probe, record.step, record.complete, record.incomplete_reason,
        estimate.settings, estimate.mean, estimate.std, estimate.standard_error, estimate.quantiles,
        estimate.rows, estimate.nonfinite_rows, estimate.duplicate_rows, estimate.points,
        estimate.queries, estimate.invalid, estimate.variance, estimate.recall, estimate.seconds,
        estimate.enough_points, record.window_fill, record.rolling_mean, record.paired_change,
        record.paired_change_standard_error, record.create_time, estimate.harmonic_mean,
        estimate.harmonic_mean_standard_error, estimate.near_duplicates, record.scale_profile,
        estimate.recall_low, estimate.bias_bound, estimate.engine_reason, estimate.enough_recall,
        record.subsampled_reason);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, AttentionRecord>
void VisitFields(Visitor& visit, Record& record) {
  auto& estimate = record.estimate;
  visit(record.cursor, record.probe, record.step, record.complete, record.incomplete_reason,
        estimate.settings, estimate.mean, estimate.std, estimate.standard_error, estimate.quantiles,
        estimate.prompts, estimate.invalid, record.baseline_step, record.baseline_change,
        record.baseline, record.create_time);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, ScalarRecord>
void VisitFields(Visitor& visit, Record& record) {
  visit(record.cursor, record.name, record.step, record.value);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, SignalRecord>
void VisitFields(Visitor& visit, Record& record) {
  auto& signal = record.signal;
  visit(record.cursor, signal.probe, signal.kind, signal.state, signal.step, signal.reason,
        signal.evidence, record.create_time);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, DecisionRecord>
void VisitFields(Visitor& visit, Record& record) {
  auto& decision = record.decision;
  visit(record.cursor, decision.verdict, decision.step, decision.reason, decision.best_step,
        decision.mode, decision.signals, record.create_time);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, RewindRecord>
void VisitFields(Visitor& visit, Record& record) {
  visit(record.cursor, record.probe, record.scalar, record.step);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, StateRecord>
void VisitFields(Visitor& visit, Record& record) {
  visit(record.cursor, record.state, record.create_time);
}

template <typename Visitor, typename Record>
requires std::same_as<std::remove_const_t<Record>, SettingsRecord>
void VisitFields(Visitor& visit, Record& record) {
  visit(record.cursor, record.author, record.step, record.old_signals, record.new_signals,
        record.old_policy, record.new_policy, record.create_time);
}

class Binder {
 public:
  explicit Binder(SqliteQuery& query) : query_(query) {}

  template <typename... Fields>
  void operator()(const Fields&... fields) {
    (Put(fields), ...);
  }
  const absl::Status& status() const { return status_; }

 private:
  void Put(std::integral auto value) { query_.Bind(value); }
  void Put(double value) { query_.Bind(value); }
  void Put(const std::string& value) { query_.Bind(value); }
  void Put(Step value) { query_.Bind(value.value); }
  void Put(absl::Time value) { query_.Bind(absl::ToUnixNanos(value)); }
  template <typename Value>
  void Put(const std::optional<Value>& value) {
    if (value.has_value()) return Put(*value);
    query_.Bind(std::optional<double>());
  }
  template <typename Value>
  requires std::is_enum_v<Value>
  void Put(Value value) { query_.Bind(Name(value)); }
  template <typename Value>
  requires requires(const Value& value) { ToJson(value); }
  void Put(const Value& value) {
    const absl::StatusOr<std::string> text = ToJson(value);
    status_.Update(text.status());
    query_.Bind(text.ok() ? *text : "");
  }

  SqliteQuery& query_;
  absl::Status status_;
};

class Reader {
 public:
  explicit Reader(SqliteQuery& query) : query_(query) {}

  template <typename... Fields>
  void operator()(Fields&... fields) {
    (Take(fields), ...);
    status_.Update(query_.TakeStatus());
  }
  const absl::Status& status() const { return status_; }

 private:
  void Take(bool& value) { value = query_.Int() != 0; }
  void Take(std::int64_t& value) { value = query_.Int(); }
  void Take(double& value) { value = query_.Real(); }
  void Take(std::string& value) { value = query_.Text(); }
  void Take(Step& value) { value.value = query_.Int(); }
  void Take(absl::Time& value) { value = absl::FromUnixNanos(query_.Int()); }
  void Take(std::optional<double>& value) { value = query_.OptionalReal(); }
  template <typename Value>
  requires requires(const Value& value) { ToJson(value); }
  void Take(std::optional<Value>& value) {
    const std::optional<std::string> text = query_.OptionalText();
    if (!text.has_value()) return;
    absl::StatusOr<Value> parsed = FromJson<Value>(*text);
    status_.Update(parsed.status());
    if (parsed.ok()) value = *std::move(parsed);
  }
  void Take(std::optional<Step>& value) {
    const std::optional<std::int64_t> step = query_.OptionalInt();
    if (step.has_value()) value = Step{*step};
  }
  void Take(std::optional<absl::Time>& value) {
    const std::optional<std::int64_t> nanoseconds = query_.OptionalInt();
    if (nanoseconds.has_value()) value = absl::FromUnixNanos(*nanoseconds);
  }
  template <typename Value>
  requires std::is_enum_v<Value>
  void Take(Value& value) {
    const std::string name = query_.Text();
    const std::optional<Value> parsed = ParseEnum<Value>(name);
    if (parsed.has_value()) {
      value = *parsed;
    } else {
      status_.Update(absl::DataLossError(absl::StrCat("unknown name '", name, "'")));
    }
  }
  template <typename Value>
  requires requires(const Value& value) { ToJson(value); }
  void Take(Value& value) {
    absl::StatusOr<Value> parsed = FromJson<Value>(query_.Text());
    status_.Update(parsed.status());
    if (parsed.ok()) value = *std::move(parsed);
  }

  SqliteQuery& query_;
  absl::Status status_;
};

// ", ?" for each of the columns.
std::string Placeholders(std::string_view columns) {
  std::string text;
  for (auto count = 1 + std::count(columns.begin(), columns.end(), ','); count > 0; --count) {
    text += ", ?";
  }
  return text;
}

constexpr const char* kOverwriteRun =
    " ON CONFLICT (run_id) DO UPDATE SET project = excluded.project, display_name = "
    "excluded.display_name, labels = excluded.labels, user = excluded.user, hyperparameters = "
    "excluded.hyperparameters, signals = excluded.signals, policy = excluded.policy, probes = "
    "excluded.probes, state = excluded.state, create_time = excluded.create_time, end_time = "
    "excluded.end_time, last_sample_time = excluded.last_sample_time, last_step = "
    "excluded.last_step, session_epoch = excluded.session_epoch, applied_seq = "
    "excluded.applied_seq, next_cursor = excluded.next_cursor, damage = excluded.damage, "
    "stored_bytes = "
    "excluded.stored_bytes "
    "RETURNING id";

template <typename Record>
absl::Status BindFields(SqliteQuery& query, const Record& record) {
  Binder binder(query);
  VisitFields(binder, record);
  return binder.status();
}

}  // namespace

absl::StatusOr<std::int64_t> PutRun(SqliteConnection& connection, const RunRecord& run) {
  using Table = RecordTable<RunRecord>;
  // The key is NULL, so SQLite chooses one unless the run is there.
  absl::StatusOr<SqliteQuery> query = connection.Prepare(
      absl::StrCat("INSERT INTO ", Table::kName, " (id, ", Table::kColumns, ") VALUES (NULL",
                   Placeholders(Table::kColumns), ")", kOverwriteRun));
  DIMWATCH_RETURN_IF_ERROR(query.status());
  DIMWATCH_RETURN_IF_ERROR(BindFields(*query, run));
  const absl::StatusOr<bool> row = query->Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  const std::int64_t key = query->Int();
  DIMWATCH_RETURN_IF_ERROR(query->Next().status());
  return key;
}

template <typename Record>
absl::Status InsertRecord(SqliteConnection& connection, std::int64_t run_key,
                          const Record& record) {
  using Table = RecordTable<Record>;
  absl::StatusOr<SqliteQuery> query =
      connection.Prepare(absl::StrCat("INSERT INTO ", Table::kName, " (run, ", Table::kColumns,
                                      ") VALUES (?", Placeholders(Table::kColumns), ")"));
  DIMWATCH_RETURN_IF_ERROR(query.status());
  query->Bind(run_key);
  DIMWATCH_RETURN_IF_ERROR(BindFields(*query, record));
  return query->Run();
}

template <typename Record>
absl::StatusOr<Record> TakeRecord(SqliteQuery& query) {
  Record record;
  Reader reader(query);
  VisitFields(reader, record);
  if (reader.status().ok()) return record;
  if constexpr (std::same_as<Record, RunRecord>) {
    record.damage = std::string(reader.status().message());
    return record;
  } else {
    return reader.status();
  }
}

template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const EstimateRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const AttentionRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const ScalarRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const SignalRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const DecisionRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const RewindRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const StateRecord&);
template absl::Status InsertRecord(SqliteConnection&, std::int64_t, const SettingsRecord&);
template absl::StatusOr<RunRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<EstimateRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<AttentionRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<ScalarRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<SignalRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<DecisionRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<RewindRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<StateRecord> TakeRecord(SqliteQuery&);
template absl::StatusOr<SettingsRecord> TakeRecord(SqliteQuery&);

}  // namespace dimwatch
