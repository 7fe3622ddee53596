#include "server/admin_service.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/errors.h"
#include "server/log.h"

namespace dimwatch::server {
namespace {

constexpr absl::string_view kPrefix = "LOG_LEVEL_";

// "debug"; "unspecified" and "" for what is no level.
std::string NameOf(v1::LogLevel level) {
  return absl::AsciiStrToLower(absl::StripPrefix(v1::LogLevel_Name(level), kPrefix));
}

v1::LogLevel LevelNamed(const std::string& name) {
  v1::LogLevel level = v1::LOG_LEVEL_UNSPECIFIED;
  v1::LogLevel_Parse(absl::StrCat(kPrefix, absl::AsciiStrToUpper(name)), &level);
  return level;
}

absl::Status ChangeLogLevel(const Principal& principal, const std::string& request_id,
                            v1::LogLevel level, v1::SetLogLevelResponse& response) {
  if (!principal.Covers(kAllProjects)) {
    return absl::PermissionDeniedError(
        absl::StrCat("token ", principal.name(), " is not for all projects, as this needs"));
  }
  if (level == v1::LOG_LEVEL_UNSPECIFIED || !v1::LogLevel_IsValid(level)) {
    return InvalidField("level", absl::StrCat(static_cast<int>(level),
                                              " got; DEBUG, INFO, WARNING and ERROR are allowed"));
  }
  const std::string before = LogLevelName();
  response.set_previous_level(LevelNamed(before));
  SetLogLevel(NameOf(level));
  Log(LogLevel::kWarning, "log level changed",
      {{"from", before},
       {"to", NameOf(level)},
       {"request", request_id},
       {"token", principal.name()}});
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::SetLogLevel(grpc::CallbackServerContext* context,
                                                    const v1::SetLogLevelRequest* request,
                                                    v1::SetLogLevelResponse* response) {
  return RunUnary(context, unary_, *request, [=](const Principal& principal) {
    return ChangeLogLevel(principal, RequestIdOf(*context), request->level(), *response);
  });
}

}  // namespace dimwatch::server
