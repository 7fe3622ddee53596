// The server's log: one line per event on stderr, fixed text followed by key=value pairs.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace dimwatch::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// One pair; numbers are printed as by absl::StrCat.
struct LogField {
  LogField(absl::string_view k, const absl::AlphaNum& v) : key(k), value(v.Piece()) {}
  absl::string_view key;
  std::string value;
};

// Sends the log to stderr and sets what is logged: "debug", "info", "warning" or "error". Call it
// once before the first Log; SetLogLevel may be called at any time.
void StartLog(const std::string& level);
void SetLogLevel(const std::string& level);

// Thread-safe. `text` is fixed; values may hold anything: control characters are escaped, and a
// value with spaces or quotes is put in quotes.
void Log(LogLevel level, absl::string_view text, std::initializer_list<LogField> fields = {});

// What Log prints of a line, without time and level.
std::string LogLine(absl::string_view text, std::initializer_list<LogField> fields);

}  // namespace dimwatch::server
