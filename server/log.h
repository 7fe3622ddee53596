// The server's log: one line per event on stderr, fixed text followed by key=value pairs, or the
// same as a JSON object.
#pragma once

#include <initializer_list>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace dimwatch::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

enum class LogFormat { kText, kJson };

// One pair; numbers are printed as by absl::StrCat.
struct LogField {
  template <typename Value>
  LogField(absl::string_view k, const Value& v)
      : key(k), value(absl::AlphaNum(v).Piece()), is_number(std::is_arithmetic_v<Value>) {}
  absl::string_view key;
  std::string value;
  bool is_number;
};

// Sends the log to stderr and sets what is logged: "debug", "info", "warning" or "error". Call it
// once before the first Log; SetLogLevel may be called at any time.
void StartLog(const std::string& level, LogFormat format);
void SetLogLevel(const std::string& level);
std::string LogLevelName();
bool Logs(LogLevel level);

// Thread-safe. `text` is fixed; values may hold anything: control characters are escaped, and a
// value with spaces or quotes is put in quotes.
void Log(LogLevel level, absl::string_view text, std::initializer_list<LogField> fields = {});

// What Log prints of a line, without time and level.
std::string LogLine(absl::string_view text, std::initializer_list<LogField> fields);
// The same as members of a JSON object: "message", then the fields.
std::string LogMembers(absl::string_view text, std::initializer_list<LogField> fields);

}  // namespace dimwatch::server
