// The subcommands of `dimwatch`. Each registers its options, and puts what is to be done into
// `action` when it is the one that was asked for.
//
// Exit codes: 0 done, 1 it went wrong (one line on standard error says what), 2 the command line is
// not understood.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/status.h"

namespace dimwatch::cli {

using Action = std::function<absl::Status()>;

// Without a server.
void AddEstimateCommand(CLI::App& app, Action& action);
void AddAttentionCommand(CLI::App& app, Action& action);
void AddReplayCommand(CLI::App& app, Action& action);
void AddTokenCommand(CLI::App& app, Action& action);
void AddBackupCommand(CLI::App& app, Action& action);

// With one.
void AddRunsCommand(CLI::App& app, Action& action);
void AddShowCommand(CLI::App& app, Action& action);
void AddLayersCommand(CLI::App& app, Action& action);
void AddWatchCommand(CLI::App& app, Action& action);
void AddCompareCommand(CLI::App& app, Action& action);
void AddExportCommand(CLI::App& app, Action& action);
void AddSetCommand(CLI::App& app, Action& action);
void AddFinishCommand(CLI::App& app, Action& action);
void AddDeleteCommand(CLI::App& app, Action& action);
void AddLogLevelCommand(CLI::App& app, Action& action);
void AddBenchCommand(CLI::App& app, Action& action);

}  // namespace dimwatch::cli
