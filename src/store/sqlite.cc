#include "src/store/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

constexpr int kBusyTimeoutMilliseconds = 10'000;

// sqlite3_system_errno stays 0 for a failed write of the write-ahead log (3.40), but errno is
// right.
bool DiskIsFull(int code, int system_error) {
  return code == SQLITE_FULL ||
         (code == SQLITE_IOERR &&
          (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG));
}

}  // namespace

SqliteQuery::SqliteQuery(SqliteConnection& connection, sqlite3_stmt* statement)
    : connection_(&connection), statement_(statement) {}

SqliteQuery::SqliteQuery(SqliteQuery&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      parameter_(other.parameter_),
      column_(other.column_),
      status_(std::move(other.status_)) {}

SqliteQuery::~SqliteQuery() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void SqliteQuery::Check(int code) {
  if (code != SQLITE_OK) status_.Update(connection_->Error("binding a parameter"));
}

void SqliteQuery::BindInt(std::int64_t value) {
  Check(sqlite3_bind_int64(statement_, ++parameter_, value));
}

void SqliteQuery::BindNull() { Check(sqlite3_bind_null(statement_, ++parameter_)); }

void SqliteQuery::BindOne(double value) {
  const bool exact_as_real = !std::isnan(value) && !(value == 0 && std::signbit(value));
  Check(exact_as_real
            ? sqlite3_bind_double(statement_, ++parameter_, value)
            : sqlite3_bind_blob(statement_, ++parameter_, &value, sizeof value, SQLITE_TRANSIENT));
}

void SqliteQuery::BindOne(std::string_view value) {
  Check(sqlite3_bind_text64(statement_, ++parameter_, value.data() == nullptr ? "" : value.data(),
                            value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

absl::StatusOr<bool> SqliteQuery::Next() {
  DIMWATCH_RETURN_IF_ERROR(status_);
  column_ = 0;
  errno = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->Error(sqlite3_sql(statement_));
}

absl::Status SqliteQuery::Run() { return Next().status(); }

bool SqliteQuery::ColumnIs(int type) {
  const int got = sqlite3_column_type(statement_, column_);
  if (got == type) return true;
  status_.Update(
      absl::DataLossError(absl::StrCat("column ", sqlite3_column_name(statement_, column_),
                                       " has storage type ", got, ", expected ", type)));
  return false;
}

std::int64_t SqliteQuery::Int() {
  const std::int64_t value =
      ColumnIs(SQLITE_INTEGER) ? sqlite3_column_int64(statement_, column_) : 0;
  ++column_;
  return value;
}

double SqliteQuery::Real() {
  double value = 0;
  if (sqlite3_column_type(statement_, column_) == SQLITE_BLOB &&
      sqlite3_column_bytes(statement_, column_) == sizeof value) {
    std::memcpy(&value, sqlite3_column_blob(statement_, column_), sizeof value);
  } else if (ColumnIs(SQLITE_FLOAT)) {
    value = sqlite3_column_double(statement_, column_);
  }
  ++column_;
  return value;
}

std::string SqliteQuery::Text() {
  std::string value;
  if (ColumnIs(SQLITE_TEXT)) {
    const unsigned char* text = sqlite3_column_text(statement_, column_);
    const int bytes = sqlite3_column_bytes(statement_, column_);
    value.assign(reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes));
  }
  ++column_;
  return value;
}

std::optional<std::int64_t> SqliteQuery::OptionalInt() {
  if (sqlite3_column_type(statement_, column_) != SQLITE_NULL) return Int();
  ++column_;
  return std::nullopt;
}

std::optional<double> SqliteQuery::OptionalReal() {
  if (sqlite3_column_type(statement_, column_) != SQLITE_NULL) return Real();
  ++column_;
  return std::nullopt;
}

std::optional<std::string> SqliteQuery::OptionalText() {
  if (sqlite3_column_type(statement_, column_) != SQLITE_NULL) return Text();
  ++column_;
  return std::nullopt;
}

absl::Status SqliteQuery::TakeStatus() { return std::exchange(status_, absl::OkStatus()); }

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(
    const std::filesystem::path& file) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      file.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (db == nullptr) return absl::InternalError("SQLite: out of memory");
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(db));
  if (code != SQLITE_OK) return connection->Error(absl::StrCat("opening ", file.string()));
  sqlite3_busy_timeout(db, kBusyTimeoutMilliseconds);
  return connection;
}

SqliteConnection::~SqliteConnection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

absl::StatusOr<SqliteQuery> SqliteConnection::Prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                           &statement, nullptr) != SQLITE_OK) {
      return Error(sql);
    }
    found = statements_.emplace(sql, statement).first;
  }
  return SqliteQuery(*this, found->second);
}

absl::Status SqliteConnection::Execute(const std::string& sql) {
  errno = 0;
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return Error(sql);
}

absl::StatusOr<std::int64_t> SqliteConnection::Integer(std::string_view sql) {
  absl::StatusOr<SqliteQuery> query = Prepare(sql);
  DIMWATCH_RETURN_IF_ERROR(query.status());
  const absl::StatusOr<bool> row = query->Next();
  DIMWATCH_RETURN_IF_ERROR(row.status());
  if (!*row) return absl::InternalError(absl::StrCat("no result: ", std::string(sql)));
  const std::int64_t value = query->Int();
  DIMWATCH_RETURN_IF_ERROR(query->TakeStatus());
  return value;
}

absl::Status SqliteConnection::Error(std::string_view doing) const {
  const int system_error = errno;
  const int code = sqlite3_errcode(db_);
  const std::string message =
      absl::StrCat("SQLite: ", sqlite3_errmsg(db_), ": ", std::string(doing));
  if (DiskIsFull(code, system_error)) return absl::ResourceExhaustedError(message);
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return absl::DataLossError(message);
  return absl::InternalError(message);
}

absl::StatusOr<SqliteTransaction> SqliteTransaction::Begin(SqliteConnection& connection,
                                                           Kind kind) {
  absl::StatusOr<SqliteQuery> begin =
      connection.Prepare(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN");
  DIMWATCH_RETURN_IF_ERROR(begin.status());
  DIMWATCH_RETURN_IF_ERROR(begin->Run());
  return SqliteTransaction(connection);
}

SqliteTransaction::SqliteTransaction(SqliteTransaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

SqliteTransaction::~SqliteTransaction() {
  if (connection_ == nullptr || sqlite3_get_autocommit(connection_->db_) != 0) return;
  // An error leaves the connection inside the transaction, which the next Begin reports.
  connection_->Execute("ROLLBACK").IgnoreError();
}

absl::Status SqliteTransaction::Commit() {
  absl::StatusOr<SqliteQuery> commit = connection_->Prepare("COMMIT");
  DIMWATCH_RETURN_IF_ERROR(commit.status());
  DIMWATCH_RETURN_IF_ERROR(commit->Run());
  connection_ = nullptr;
  return absl::OkStatus();
}

}  // namespace dimwatch
