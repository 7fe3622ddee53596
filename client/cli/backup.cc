// dimwatch backup: a copy of a server's data folder.
#include "src/monitor/backup.h"

#include <cstdio>
#include <memory>
#include <string>

#include "client/cli/command.h"
#include "client/cli/json.h"

namespace dimwatch::cli {
namespace {

struct Options {
  std::string to;
  std::string data_dir = "./dimwatch-data";
  bool json = false;
};

absl::Status RunBackup(const Options& options) {
  const absl::StatusOr<Backup> backup = BackUp(options.data_dir, options.to);
  if (!backup.ok()) return backup.status();
  if (options.json) {
    const Json json = {
        {"runs", backup->runs}, {"live_runs", backup->live_runs}, {"bytes", backup->bytes}};
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("%lld runs, %lld of them live, %.1f MB in %s\n",
                static_cast<long long>(backup->runs), static_cast<long long>(backup->live_runs),
                static_cast<double>(backup->bytes) / 1e6, options.to.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddBackupCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "backup",
      "Copy the data folder of a server on this machine, which may be running; dimwatch-server "
      "--data-dir OUT goes on from there");
  command->add_option("out", options->to, "folder to make")->required();
  command->add_option("--data-dir", options->data_dir, "the server's")->capture_default_str();
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return RunBackup(*options); }; });
}

}  // namespace dimwatch::cli
