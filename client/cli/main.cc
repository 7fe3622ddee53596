#include <cstdio>
#include <string>

#include "client/cli/command.h"

int main(int argc, char** argv) {
  CLI::App app("Watches the intrinsic dimension of a model's representations while it trains.",
               "dimwatch");
  app.set_version_flag("--version", std::string("dimwatch ") + DIMWATCH_VERSION);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 it went wrong, 2 the command line is not understood.");

  dimwatch::cli::Action action;
  dimwatch::cli::AddEstimateCommand(app, action);
  dimwatch::cli::AddAttentionCommand(app, action);
  dimwatch::cli::AddReplayCommand(app, action);
  dimwatch::cli::AddRunsCommand(app, action);
  dimwatch::cli::AddShowCommand(app, action);
  dimwatch::cli::AddLayersCommand(app, action);
  dimwatch::cli::AddWatchCommand(app, action);
  dimwatch::cli::AddCompareCommand(app, action);
  dimwatch::cli::AddExportCommand(app, action);
  dimwatch::cli::AddSetCommand(app, action);
  dimwatch::cli::AddFinishCommand(app, action);
  dimwatch::cli::AddDeleteCommand(app, action);
  dimwatch::cli::AddLogLevelCommand(app, action);
  dimwatch::cli::AddBackupCommand(app, action);
  dimwatch::cli::AddBenchCommand(app, action);
  dimwatch::cli::AddTokenCommand(app, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = action();
  if (status.ok()) return 0;
  std::fprintf(stderr, "dimwatch: %s\n", std::string(status.message()).c_str());
  return 1;
}
