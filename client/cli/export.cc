// dimwatch export: everything that is known of a run, for other programs.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/attention_text.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/openmetrics.h"
#include "client/cli/scale_text.h"

namespace dimwatch::cli {
namespace {

using Query = v1::QueryService::Stub;

struct Options {
  ServerOptions server;
  std::string run_id;
  std::string format;
  std::string out;
};

// Moves a list into its place, or keeps its error.
template <typename Element>
void Take(absl::StatusOr<std::vector<Element>> list, std::vector<Element>& place,
          absl::Status& status) {
  if (!list.ok()) {
    status.Update(list.status());
  } else {
    place = *std::move(list);
  }
}

absl::StatusOr<RunHistory> ReadHistory(const Server& server, const std::string& run_id) {
  v1::GetRunRequest request;
  request.set_run_id(run_id);
  const auto run = Call(server, *server.runs, &v1::RunService::Stub::GetRun, request, run_id);
  if (!run.ok()) return run.status();
  RunHistory history;
  history.run_id = run_id;
  history.project = run->run().project();
  absl::Status status;
  Take(ListAll(server, &Query::ListEstimates, &v1::ListEstimatesResponse::estimates, run_id),
       history.estimates, status);
  Take(ListAll(server, &Query::ListAttentionEstimates,
               &v1::ListAttentionEstimatesResponse::estimates, run_id),
       history.attention, status);
  Take(ListAll(server, &Query::ListScalars, &v1::ListScalarsResponse::scalars, run_id),
       history.scalars, status);
  Take(ListAll(server, &Query::ListSignals, &v1::ListSignalsResponse::signals, run_id),
       history.signals, status);
  Take(ListAll(server, &Query::ListDecisions, &v1::ListDecisionsResponse::decisions, run_id),
       history.decisions, status);
  Take(ListAll(server, &Query::ListSettingsChanges, &v1::ListSettingsChangesResponse::changes,
               run_id),
       history.settings, status);
  if (!status.ok()) return status;
  return history;
}

// The lines of `replay --json`: by step, the scalars of a step before its estimates, so that they
// can be replayed; then all signals, all decisions, all changes of the parameters.
std::vector<Json> Lines(const RunHistory& history) {
  std::vector<Json> lines;
  for (const v1::Scalar& scalar : history.scalars) {
    lines.push_back(ScalarJson(scalar.step(), scalar.name(), scalar.value()));
  }
  for (const v1::Estimate& estimate : history.estimates) {
    lines.push_back(ToJson(estimate));
    if (estimate.has_scale_profile()) lines.push_back(ScaleJson(estimate));
  }
  for (const v1::AttentionEstimate& estimate : history.attention) {
    lines.push_back(ToJson(FromProto(estimate)));
    lines.back()["time"] = TimeText(estimate.create_time());
  }
  std::ranges::stable_sort(lines, {},
                           [](const Json& line) { return line["step"].get<std::int64_t>(); });
  for (const v1::Signal& signal : history.signals) lines.push_back(ToJson(signal));
  for (const v1::Decision& decision : history.decisions) lines.push_back(ToJson(decision));
  for (const v1::SettingsChange& change : history.settings) lines.push_back(ToJson(change));
  return lines;
}

std::string ToJsonLines(const RunHistory& history) {
  std::string text;
  for (const Json& line : Lines(history)) text += line.dump() + "\n";
  return text;
}

// RFC 4180: quoted where it must be.
std::string CsvField(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  const std::string text = value.get<std::string>();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// One table for all kinds; the columns are those keys of the JSON lines that hold one value.
std::string ToCsv(const RunHistory& history) {
  static const std::vector<std::string> kColumns = {"type",
                                                    "step",
                                                    "probe",
                                                    "name",
                                                    "signal",
                                                    "state",
                                                    "decision",
                                                    "best_step",
                                                    "value",
                                                    "mean",
                                                    "standard_error",
                                                    "std",
                                                    "rolling_mean",
                                                    "paired_change",
                                                    "paired_change_standard_error",
                                                    "n_points",
                                                    "n_queries",
                                                    "n_invalid",
                                                    "n_duplicates",
                                                    "n_nonfinite",
                                                    "n_rows",
                                                    "n_prompts",
                                                    "epsilon",
                                                    "relative",
                                                    "heads",
                                                    "baseline_step",
                                                    "baseline_change",
                                                    "baseline_change_standard_error",
                                                    "n_baseline_prompts",
                                                    "window_fill",
                                                    "complete",
                                                    "incomplete_reason",
                                                    "subsampled_reason",
                                                    "estimator",
                                                    "neighbors",
                                                    "cdf",
                                                    "fit",
                                                    "index",
                                                    "recall",
                                                    "recall_low",
                                                    "bias_bound",
                                                    "engine_reason",
                                                    "variance",
                                                    "seconds",
                                                    "mode",
                                                    "reason",
                                                    "author",
                                                    "changed",
                                                    "time"};
  std::string text;
  for (const std::string& column : kColumns) text += (text.empty() ? "" : ",") + column;
  text += "\r\n";
  for (const Json& line : Lines(history)) {
    for (const std::string& column : kColumns) {
      if (&column != &kColumns.front()) text += ",";
      if (line.contains(column)) text += CsvField(line[column]);
    }
    text += "\r\n";
  }
  return text;
}

absl::Status Write(const std::string& file, const std::string& text) {
  if (file.empty()) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return absl::OkStatus();
    return absl::InternalError("cannot write to standard output");
  }
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  stream.close();
  return stream ? absl::OkStatus() : absl::InternalError("cannot write '" + file + "'");
}

absl::Status RunExport(const Options& options) {
  const absl::StatusOr<Server> server = Connect(options.server);
  if (!server.ok()) return server.status();
  const auto history = ReadHistory(*server, options.run_id);
  if (!history.ok()) return history.status();
  if (options.format == "csv") return Write(options.out, ToCsv(*history));
  if (options.format == "jsonl") return Write(options.out, ToJsonLines(*history));
  return Write(options.out, ToOpenMetrics(*history));
}

}  // namespace

void AddExportCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("export", "Write everything that is known of a run");
  command->add_option("run", options->run_id)->required();
  AddServerOptions(*command, options->server);
  command
      ->add_option("--format", options->format,
                   "csv, jsonl (the lines of replay --json), or openmetrics (for `promtool tsdb "
                   "create-blocks-from openmetrics`; without scalars)")
      ->required()
      ->check(CLI::IsMember({"csv", "jsonl", "openmetrics"}));
  command->add_option("--out", options->out, "file; default: standard output");
  command->callback([options, &action] { action = [options] { return RunExport(*options); }; });
}

}  // namespace dimwatch::cli
