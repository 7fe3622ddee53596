#include "server/log.h"

#include <atomic>
#include <cmath>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "nlohmann/json.hpp"
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

std::string Json(absl::string_view text) {
  return nlohmann::json(ValidUtf8({text.data(), text.size()})).dump(-1, ' ', /*ensure_ascii=*/true);
}

// JSON has no infinities and no NaN: those stay text.
bool IsJsonNumber(const LogField& field) {
  return field.is_number && std::isfinite(std::strtod(field.value.c_str(), nullptr));
}

std::atomic<LogFormat> format_of_lines{LogFormat::kText};

}  // namespace

void StartLog(const std::string& level, LogFormat format) {
  auto logger = spdlog::stderr_color_mt("dimwatch");
  logger->set_pattern(format == LogFormat::kText
                          ? "%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v"
                          : R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
  format_of_lines = format;
  spdlog::set_default_logger(std::move(logger));
  SetLogLevel(level);
}

void SetLogLevel(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

std::string LogLevelName() {
  const auto name = spdlog::level::to_string_view(spdlog::get_level());
  return {name.data(), name.size()};
}

bool Logs(LogLevel level) { return spdlog::should_log(ToSpdlog(level)); }

void Log(LogLevel level, absl::string_view text, std::initializer_list<LogField> fields) {
  if (!Logs(level)) return;
  const bool json = format_of_lines == LogFormat::kJson;
  spdlog::log(ToSpdlog(level), json ? LogMembers(text, fields) : LogLine(text, fields));
}

std::string LogLine(absl::string_view text, std::initializer_list<LogField> fields) {
  std::string line(text);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.key, "=", Escaped(field.value));
  }
  return line;
}

std::string LogMembers(absl::string_view text, std::initializer_list<LogField> fields) {
  std::string members = absl::StrCat("\"message\":", Json(text));
  for (const LogField& field : fields) {
    absl::StrAppend(&members, ",", Json(field.key), ":",
                    IsJsonNumber(field) ? field.value : Json(field.value));
  }
  return members;
}

}  // namespace dimwatch::server
