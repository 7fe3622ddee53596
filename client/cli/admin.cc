// dimwatch finish, dimwatch delete.
#include <cstdio>
#include <memory>
#include <string>

#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/text.h"

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

}  // namespace

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
