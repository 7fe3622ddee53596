// dimwatch replay: recorded runs through the server's own signals and policy; traces of vectors
// through its windows and estimators as well.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/estimator_flags.h"
#include "client/cli/replay_config.h"
#include "client/cli/replay_output.h"
#include "client/cli/replay_summary.h"
#include "client/cli/replayer.h"

namespace dimwatch::cli {
namespace {

struct Options {
  std::vector<std::string> recordings;
  std::string config;
  std::vector<std::string> compared;  // two configurations, or none
  EstimatorFlags estimator;
  int threads = 0;
  bool json = false;
};

// "grokking" for "courses/grokking.jsonl" and for "traces/grokking/".
std::string RunName(const std::filesystem::path& recording) {
  const bool ends_in_separator = recording.filename().empty();
  return ends_in_separator ? recording.parent_path().filename().string()
                           : recording.stem().string();
}

absl::Status RunCompare(const Options& options) {
  std::vector<ReplayConfig> configs;
  for (const std::string& file : options.compared) {
    absl::StatusOr<ReplayConfig> config = ReadReplayConfig(file);
    if (!config.ok()) return config.status();
    configs.push_back(*std::move(config));
  }
  std::vector<ComparedRun> runs;
  for (const std::string& recording : options.recordings) {
    ComparedRun& run = runs.emplace_back();
    run.name = RunName(recording);
    for (const ReplayConfig& config : configs) {
      ReplaySummary& summary = run.summaries.emplace_back();
      const absl::Status status =
          Replay(recording, config, options.estimator, options.threads, summary);
      if (!status.ok()) return status;
    }
  }
  const std::string text = options.json ? CompareJson(options.compared, runs)
                                        : CompareText(options.compared, runs, StdoutIsColored());
  std::printf("%s", text.c_str());
  return absl::OkStatus();
}

absl::Status RunReplay(const Options& options) {
  if (!options.compared.empty()) return RunCompare(options);
  if (options.recordings.size() > 1) {
    return absl::InvalidArgumentError("one recording expected, got " +
                                      std::to_string(options.recordings.size()) +
                                      "; several at once are for --compare");
  }
  ReplayConfig config;
  if (!options.config.empty()) {
    absl::StatusOr<ReplayConfig> read = ReadReplayConfig(options.config);
    if (!read.ok()) return read.status();
    config = *std::move(read);
  }
  ReplayOutput output(options.json);
  return Replay(options.recordings.front(), config, options.estimator, options.threads, output);
}

}  // namespace

void AddReplayCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "replay",
      "Put recorded runs through the signals and the policy, traces of vectors through "
      "the windows and estimators as well");
  command
      ->add_option("recordings", options->recordings,
                   "a folder with trace.jsonl and .npy files; or a file with the lines of `replay "
                   "--json`, `watch --json` or `export --format jsonl`, whose estimates are judged "
                   "as they are")
      ->required();
  CLI::Option* config = command->add_option(
      "--config", options->config,
      "TOML: neighbors, [estimator], [signals], [policy], [[probes]], with the names of "
      "config.proto");
  command
      ->add_option("--compare", options->compared,
                   "two such files: when signals first fired and the first STOP under the rules of "
                   "each, side by side, of every recording")
      ->expected(2)
      ->excludes(config);
  options->estimator.AddTo(*command);
  command->add_option("--threads", options->threads, "default: all")->check(CLI::PositiveNumber);
  command->add_flag("--json", options->json,
                    "JSON lines, one per event; with --compare one per recording");
  command->callback([options, &action] { action = [options] { return RunReplay(*options); }; });
}

}  // namespace dimwatch::cli
