// dimwatch compare: one series of several runs side by side.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

constexpr std::size_t kSparklineWidth = 40;

struct Options {
  ServerOptions server;
  std::vector<std::string> runs;
  std::string probe;
  std::string scalar;
  bool json = false;
};

Json SeriesJson(const v1::RunSeries& series) {
  Json json;
  json["run"] = series.run_id();
  json["name"] = series.display_name();
  json["state"] = EnumName(series.state());
  json["decision"] = ToJson(series.decision());
  json["points"] = Json::array();
  for (const v1::SeriesPoint& point : series.points()) {
    Json& entry = json["points"].emplace_back();
    entry["step"] = point.step();
    entry["value"] = point.value();
    if (point.has_standard_error()) entry["standard_error"] = point.standard_error();
    if (point.has_complete()) entry["complete"] = point.complete();
  }
  return json;
}

std::string PointText(const v1::SeriesPoint& point, bool is_lid) {
  if (!is_lid) return Json(point.value()).dump() + " at " + std::to_string(point.step());
  return MeanText(point.value(), point.has_standard_error() ? std::optional(point.standard_error())
                                                            : std::nullopt) +
         " at " + std::to_string(point.step()) + (point.complete() ? "" : " (NOT COMPLETE)");
}

std::vector<std::string> Cells(const v1::RunSeries& series, bool is_lid, bool colored) {
  const v1::Decision& decision = series.decision();
  std::vector<std::string> cells = {
      series.run_id(), series.display_name(), EnumName(series.state()),
      Colored(EnumName(decision.verdict()), ColorOf(decision.verdict()), colored)};
  const auto& points = series.points();
  if (points.empty()) {
    cells.insert(cells.end(), {"none", "none", "none", "none", ""});
    return cells;
  }
  const auto by_value = [](const auto& a, const auto& b) { return a.value() < b.value(); };
  const auto [low, high] = std::minmax_element(points.begin(), points.end(), by_value);
  std::vector<std::optional<double>> values;
  for (const v1::SeriesPoint& point : points) values.emplace_back(point.value());
  cells.insert(cells.end(),
               {PointText(points[0], is_lid), PointText(*low, is_lid), PointText(*high, is_lid),
                PointText(points[points.size() - 1], is_lid), Sparkline(values, kSparklineWidth)});
  return cells;
}

absl::Status RunCompare(const Options& options) {
  if (options.probe.empty() == options.scalar.empty()) {
    return absl::InvalidArgumentError("say what to compare: --probe NAME or --scalar NAME");
  }
  v1::CompareRunsRequest request;
  request.mutable_run_ids()->Add(options.runs.begin(), options.runs.end());
  request.set_probe(options.probe);
  request.set_scalar(options.scalar);
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  const auto response =
      Call(server, *server.query, &v1::QueryService::Stub::CompareRuns, request, "");
  if (!response.ok()) return response.status();
  const bool colored = StdoutIsColored();
  Table table({"RUN", "NAME", "STATE", "DECISION", "FIRST", "LOWEST", "HIGHEST", "LAST", "COURSE"});
  for (const v1::RunSeries& series : response->series()) {
    if (options.json) {
      std::printf("%s\n", SeriesJson(series).dump().c_str());
    } else {
      table.Add(Cells(series, options.scalar.empty(), colored));
    }
  }
  if (!options.json) {
    std::printf("%s\n%s",
                options.scalar.empty() ? ("mean LID ± s.e. of " + options.probe).c_str()
                                       : options.scalar.c_str(),
                table.ToString(colored).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddCompareCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("compare", "One series of several runs side by side");
  command->add_option("runs", options->runs)->required()->expected(1, 50);
  AddServerOptions(*command, options->server);
  command->add_option("--probe", options->probe, "the mean LID of this probe");
  command->add_option("--scalar", options->scalar, "this number");
  command->add_flag("--json", options->json, "JSON lines, one per run");
  command->callback([options, &action] { action = [options] { return RunCompare(*options); }; });
}

}  // namespace dimwatch::cli
