// A thin layer over SQLite: connections, cached statements, transactions.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace dimwatch {

class SqliteConnection;

// One execution of a prepared statement; the destructor frees it for the next one. Parameters are
// bound, and columns read, one after the other. An error of binding or of a column's type is kept
// and comes out of the following Next or TakeStatus.
class SqliteQuery {
 public:
  SqliteQuery(SqliteConnection& connection, sqlite3_stmt* statement);
  SqliteQuery(SqliteQuery&& other) noexcept;
  SqliteQuery& operator=(SqliteQuery&&) = delete;
  ~SqliteQuery();

  template <typename... Values>
  SqliteQuery& Bind(const Values&... values) {
    (BindOne(values), ...);
    return *this;
  }

  // Moves to the next row; false behind the last one.
  absl::StatusOr<bool> Next();
  // For a statement that returns no rows.
  absl::Status Run();

  // The next column of the row. DATA_LOSS through TakeStatus if it has another type; then the
  // value is empty.
  std::int64_t Int();
  double Real();
  std::string Text();
  std::optional<std::int64_t> OptionalInt();
  std::optional<double> OptionalReal();
  std::optional<std::string> OptionalText();
  // The first error since the last call.
  absl::Status TakeStatus();

 private:
  void BindOne(std::integral auto value) { BindInt(static_cast<std::int64_t>(value)); }
  // SQLite has no NaN and no negative zero: those two are kept as 8 bytes.
  void BindOne(double value);
  void BindOne(std::string_view value);
  template <typename Value>
  void BindOne(const std::optional<Value>& value) {
    if (value.has_value()) return BindOne(*value);
    BindNull();
  }
  void BindInt(std::int64_t value);
  void BindNull();
  void Check(int code);
  bool ColumnIs(int type);

  SqliteConnection* connection_;
  sqlite3_stmt* statement_;
  int parameter_ = 0;
  int column_ = 0;
  absl::Status status_;
};

// One connection. Not thread-safe.
class SqliteConnection {
 public:
  // Opens or creates `file`.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::filesystem::path& file);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // Parsed at the first call, and kept. REQUIRES: no other query of the same text is alive.
  absl::StatusOr<SqliteQuery> Prepare(std::string_view sql);
  // Any number of statements without parameters and results.
  absl::Status Execute(const std::string& sql);
  // The one integer that `sql` returns.
  absl::StatusOr<std::int64_t> Integer(std::string_view sql);

  // The last error as the Store promises it: RESOURCE_EXHAUSTED for a full disk, DATA_LOSS for a
  // damaged file, otherwise INTERNAL.
  absl::Status Error(std::string_view doing) const;

 private:
  friend class SqliteTransaction;
  explicit SqliteConnection(sqlite3* db) : db_(db) {}

  sqlite3* db_;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

// Rolls back unless committed. REQUIRES: the connection outlives it and has no other transaction.
class SqliteTransaction {
 public:
  enum class Kind { kRead, kWrite };
  static absl::StatusOr<SqliteTransaction> Begin(SqliteConnection& connection, Kind kind);
  SqliteTransaction(SqliteTransaction&& other) noexcept;
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;
  ~SqliteTransaction();

  absl::Status Commit();

 private:
  explicit SqliteTransaction(SqliteConnection& connection) : connection_(&connection) {}

  SqliteConnection* connection_;  // null: nothing to roll back
};

}  // namespace dimwatch
