// dimwatch layers: the mean LID of a model's layers at one step, as a table and a chart.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

constexpr std::size_t kBarWidth = 32;

struct Options {
  ServerOptions server;
  std::string split;
  v1::GetLayerProfileRequest request;
  bool json = false;
};

absl::Status Complete(Options& options) {
  if (options.split.empty()) return absl::OkStatus();
  v1::Split split = v1::SPLIT_UNSPECIFIED;
  const std::string name = "SPLIT_" + absl::AsciiStrToUpper(options.split);
  if (!v1::Split_Parse(name, &split) || split == v1::SPLIT_UNSPECIFIED) {
    return absl::InvalidArgumentError("--split '" + options.split +
                                      "': allowed are train, validation and other");
  }
  options.request.set_split(split);
  return absl::OkStatus();
}

std::string SplitName(v1::Split split) {
  return absl::AsciiStrToLower(v1::Split_Name(split).substr(std::string("SPLIT_").size()));
}

void PrintJson(const v1::GetLayerProfileResponse& profile) {
  for (const v1::LayerEstimate& layer : profile.layers()) {
    Json json = ToJson(layer.estimate());
    json["layer"] = layer.layer();
    json["split"] = SplitName(profile.split());
    std::printf("%s\n", json.dump().c_str());
  }
}

// Bars begin at 0: their lengths compare as the dimensions do.
void PrintTable(const v1::GetLayerProfileResponse& profile) {
  double highest = 0;
  for (const v1::LayerEstimate& layer : profile.layers()) {
    highest = std::max(highest, layer.estimate().mean());
  }
  std::vector<std::string> header = EstimateHeader();
  header.front() = "LAYER";
  header.insert(header.begin() + 3, "");
  Table table(std::move(header));
  for (const v1::LayerEstimate& layer : profile.layers()) {
    const v1::Estimate& estimate = layer.estimate();
    std::vector<std::string> cells = EstimateCells(estimate);
    cells.front() = layer.layer();
    const double share = highest > 0 ? std::max(0.0, estimate.mean()) / highest : 0;
    cells.insert(cells.begin() + 3, Bar(share, kBarWidth));
    table.Add(std::move(cells));
  }
  std::printf("%s", table.ToString(StdoutIsColored()).c_str());
}

absl::Status RunLayers(Options options) {
  if (const absl::Status status = Complete(options); !status.ok()) return status;
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  const auto response = Call(server, *server.query, &v1::QueryService::Stub::GetLayerProfile,
                             options.request, options.request.run_id());
  if (!response.ok()) return response.status();
  if (options.json) {
    PrintJson(*response);
    return absl::OkStatus();
  }
  std::printf("split %s", SplitName(response->split()).c_str());
  if (response->has_step()) {
    std::printf(", step %lld", static_cast<long long>(response->step()));
  }
  std::printf("\n");
  PrintTable(*response);
  if (response->missing_probes_size() > 0) {
    std::string missing;
    for (const std::string& probe : response->missing_probes()) missing += " " + probe;
    std::printf("\nno estimate at this step:%s\n", missing.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddLayersCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("layers", "The mean LID of a model's layers at one step, side by side");
  command
      ->add_option_function<std::string>(
          "run", [options](const std::string& run) { options->request.set_run_id(run); })
      ->required();
  AddServerOptions(*command, options->server);
  command->add_option("--split", options->split,
                      "train, validation or other; default: the first that the run watches");
  command
      ->add_option_function<std::int64_t>(
          "--step", [options](std::int64_t step) { options->request.set_step(step); },
          "default: the newest with an estimate")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", options->json, "JSON lines, one per layer");
  command->callback([options, &action] { action = [options] { return RunLayers(*options); }; });
}

}  // namespace dimwatch::cli
