// dimwatch finish, dimwatch delete, dimwatch log-level.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/text.h"
#include "dimwatch/v1/admin.grpc.pb.h"

namespace dimwatch::cli {
namespace {

struct FinishOptions {
  ServerOptions server;
  v1::FinishRunRequest request;
  bool failed = false;
  bool json = false;
};

struct DeleteOptions {
  ServerOptions server;
  v1::DeleteRunRequest request;
  bool yes = false;
};

absl::Status RunFinish(FinishOptions options) {
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  options.request.set_failed(options.failed);
  const auto response = Call(server, *server.runs, &v1::RunService::Stub::FinishRun,
                             options.request, options.request.run_id());
  if (!response.ok()) return response.status();
  const v1::Run& run = response->run();
  if (options.json) {
    std::printf("%s\n", ToJson(run).dump().c_str());
  } else {
    std::printf("%s is %s; %s\n", run.run_id().c_str(), EnumName(run.state()).c_str(),
                DecisionText(run.decision()).c_str());
  }
  return absl::OkStatus();
}

absl::Status RunDelete(const DeleteOptions& options) {
  if (!options.yes) {
    return absl::FailedPreconditionError("deleting '" + options.request.run_id() +
                                         "' cannot be undone; say --yes");
  }
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  return Call(server, *server.runs, &v1::RunService::Stub::DeleteRun, options.request,
              options.request.run_id())
      .status();
}

struct LogLevelOptions {
  ServerOptions server;
  std::string level;
};

absl::Status RunLogLevel(const LogLevelOptions& options) {
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  v1::SetLogLevelRequest request;
  v1::LogLevel level = v1::LOG_LEVEL_UNSPECIFIED;
  v1::LogLevel_Parse("LOG_LEVEL_" + absl::AsciiStrToUpper(options.level), &level);
  request.set_level(level);
  const std::unique_ptr<v1::AdminService::Stub> admin =
      v1::AdminService::NewStub(connected->channel);
  const auto response = Call(*connected, *admin, &v1::AdminService::Stub::SetLogLevel, request, "");
  if (!response.ok()) return response.status();
  const std::string before = v1::LogLevel_Name(response->previous_level());
  std::printf("%s; it was %s\n", options.level.c_str(),
              absl::AsciiStrToLower(absl::StripPrefix(before, "LOG_LEVEL_")).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddLogLevelCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<LogLevelOptions>();
  CLI::App* command = app.add_subcommand(
      "log-level",
      "Change what the server logs, until it is started again or reads its file again");
  command->add_option("level", options->level)
      ->required()
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  AddServerOptions(*command, options->server);
  command->callback([options, &action] { action = [options] { return RunLogLevel(*options); }; });
}

void AddFinishCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<FinishOptions>();
  CLI::App* command = app.add_subcommand("finish", "End a run that its job did not end");
  command->add_option("run", *options->request.mutable_run_id())->required();
  AddServerOptions(*command, options->server);
  command->add_flag("--failed", options->failed, "the job failed");
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return RunFinish(*options); }; });
}

void AddDeleteCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<DeleteOptions>();
  CLI::App* command = app.add_subcommand("delete", "Delete a run and everything kept of it");
  command->add_option("run", *options->request.mutable_run_id())->required();
  AddServerOptions(*command, options->server);
  command->add_flag("--yes", options->yes, "really");
  command->callback([options, &action] { action = [options] { return RunDelete(*options); }; });
}

}  // namespace dimwatch::cli
