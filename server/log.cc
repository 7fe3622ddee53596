#include "server/log.h"

#include "absl/strings/escaping.h"
#include "server/text.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace dimwatch::server {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string Escaped(const std::string& value) {
  const std::string escaped = absl::Utf8SafeCEscape(ValidUtf8(value));
  const bool bare = !value.empty() && value == escaped && value.find(' ') == std::string::npos;
  return bare ? value : absl::StrCat("\"", escaped, "\"");
}

}  // namespace

void StartLog(const std::string& level) {
  auto logger = spdlog::stderr_color_mt("dimwatch");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  spdlog::set_default_logger(std::move(logger));
  SetLogLevel(level);
}

void SetLogLevel(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

void Log(LogLevel level, absl::string_view text, std::initializer_list<LogField> fields) {
  if (spdlog::should_log(ToSpdlog(level))) spdlog::log(ToSpdlog(level), LogLine(text, fields));
}

std::string LogLine(absl::string_view text, std::initializer_list<LogField> fields) {
  std::string line(text);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.key, "=", Escaped(field.value));
  }
  return line;
}

}  // namespace dimwatch::server
