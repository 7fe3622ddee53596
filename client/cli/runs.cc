// dimwatch runs, dimwatch show.
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/attention_text.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"
#include "client/cli/scale_text.h"
#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

struct RunsOptions {
  ServerOptions server;
  v1::ListRunsRequest request;
  std::vector<std::string> states;
  std::vector<std::string> labels;
  int limit = 50;
  bool json = false;
};

struct ShowOptions {
  ServerOptions server;
  std::string run_id;
  bool json = false;
};

std::string FiringText(const v1::Run& run) {
  std::string text;
  for (const std::string& signal : run.decision().signals()) {
    text += (text.empty() ? "" : ", ") + signal;
  }
  return text;
}

absl::Status Complete(RunsOptions& options) {
  for (const std::string& name : options.states) {
    v1::RunState state = v1::RUN_STATE_UNSPECIFIED;
    if (!v1::RunState_Parse("RUN_STATE_" + name, &state)) {
      return absl::InvalidArgumentError("--state '" + name +
                                        "': allowed are RUNNING, FINISHED, FAILED and STALE");
    }
    options.request.add_states(state);
  }
  for (const std::string& label : options.labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError("--label '" + label + "': expected is KEY=VALUE");
    }
    (*options.request.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Run>> ListRuns(const Server& server, v1::ListRunsRequest request,
                                              std::size_t limit) {
  std::vector<v1::Run> runs;
  do {
    const auto response = Call(server, *server.runs, &v1::RunService::Stub::ListRuns, request, "");
    if (!response.ok()) return response.status();
    for (const v1::Run& run : response->runs()) {
      if (runs.size() < limit) runs.push_back(run);
    }
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty() && runs.size() < limit);
  return runs;
}

absl::Status RunRuns(RunsOptions options) {
  if (const absl::Status status = Complete(options); !status.ok()) return status;
  const absl::StatusOr<Server> server = Connect(options.server);
  if (!server.ok()) return server.status();
  const auto runs = ListRuns(*server, options.request, static_cast<std::size_t>(options.limit));
  if (!runs.ok()) return runs.status();
  const bool colored = StdoutIsColored();
  Table table(
      {"RUN", "NAME", "PROJECT", "STATE", "STEP", "PROBES", "DECISION", "FIRING", "CREATED"});
  for (const v1::Run& run : *runs) {
    if (options.json) {
      std::printf("%s\n", ToJson(run).dump().c_str());
      continue;
    }
    const v1::Decision& decision = run.decision();
    table.Add({run.run_id(), run.display_name(), run.project(), EnumName(run.state()),
               run.has_last_step() ? std::to_string(run.last_step()) : "-",
               std::to_string(run.config().probes_size()),
               Colored(EnumName(decision.verdict()), ColorOf(decision.verdict()), colored),
               FiringText(run), TimeText(run.create_time())});
  }
  if (!options.json) std::printf("%s", table.ToString(colored).c_str());
  return absl::OkStatus();
}

void PrintHeader(const v1::Run& run, const std::vector<v1::SettingsChange>& changes, bool colored) {
  const v1::Decision& decision = run.decision();
  std::printf("run       %s\n", run.run_id().c_str());
  std::printf("name      %s\n", run.display_name().c_str());
  std::printf("project   %s\n", run.project().c_str());
  if (!run.user().empty()) std::printf("user      %s\n", run.user().c_str());
  for (const auto& [key, value] :
       std::map<std::string, std::string>(run.labels().begin(), run.labels().end())) {
    std::printf("label     %s = %s\n", key.c_str(), value.c_str());
  }
  std::printf("state     %s, created %s%s%s\n", EnumName(run.state()).c_str(),
              TimeText(run.create_time()).c_str(), run.has_end_time() ? ", ended " : "",
              TimeText(run.end_time()).c_str());
  if (run.has_last_step()) {
    std::printf("step      %lld\n", static_cast<long long>(run.last_step()));
  }
  if (!run.damage().empty()) std::printf("damage    %s\n", run.damage().c_str());
  std::printf("signals   %s\n", ParametersText(ToJson(run.config().signals())).c_str());
  std::printf("policy    %s\n", ParametersText(ToJson(run.config().policy())).c_str());
  for (const v1::SettingsChange& change : changes) {
    std::printf("changed   %s\n", SettingsChangeText(change).c_str());
  }
  std::printf("decision  %s\n\n",
              Colored(DecisionText(decision), ColorOf(decision.verdict()), colored).c_str());
}

absl::Status RunShow(const ShowOptions& options) {
  using Query = v1::QueryService::Stub;
  const absl::StatusOr<Server> connected = Connect(options.server);
  if (!connected.ok()) return connected.status();
  const Server& server = *connected;
  v1::GetRunRequest request;
  request.set_run_id(options.run_id);
  const auto response =
      Call(server, *server.runs, &v1::RunService::Stub::GetRun, request, options.run_id);
  if (!response.ok()) return response.status();
  const auto changes = ListAll(server, &Query::ListSettingsChanges,
                               &v1::ListSettingsChangesResponse::changes, options.run_id);
  if (!changes.ok()) return changes.status();
  const v1::Run& run = response->run();
  if (options.json) {
    Json json = ToJson(run);
    json["settings_changes"] = Json::array();
    for (const v1::SettingsChange& change : *changes) {
      json["settings_changes"].push_back(ToJson(change));
    }
    std::printf("%s\n", json.dump().c_str());
    return absl::OkStatus();
  }
  const bool colored = StdoutIsColored();
  PrintHeader(run, *changes, colored);
  Table table(EstimateHeader());
  for (const v1::Estimate& estimate : run.latest_estimates()) table.Add(EstimateCells(estimate));
  std::printf("%s", table.ToString(colored).c_str());
  if (run.latest_attention_size() > 0) {
    Table attention(AttentionHeader());
    for (const v1::AttentionEstimate& estimate : run.latest_attention()) {
      attention.Add(AttentionCells(FromProto(estimate)));
    }
    std::printf("\n%s", attention.ToString(colored).c_str());
  }
  for (const v1::Estimate& estimate : run.latest_profiles()) {
    std::printf("\nscale profile of %s at step %lld, window %s full, complete: %s\n%s",
                estimate.probe().c_str(), static_cast<long long>(estimate.step()),
                FillText(estimate.window_fill()).c_str(),
                CompleteText(estimate.complete(), estimate.incomplete_reason()).c_str(),
                ScaleText(FromProto(estimate.scale_profile()), colored).c_str());
  }
  for (const v1::Signal& signal : run.signals()) {
    std::printf("\n%s", SignalText(signal, colored).c_str());
  }
  if (run.signals_size() > 0) std::printf("\n");
  return absl::OkStatus();
}

}  // namespace

void AddRunsCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<RunsOptions>();
  CLI::App* command = app.add_subcommand("runs", "List the runs of a server, newest first");
  AddServerOptions(*command, options->server);
  command->add_option_function<std::string>(
      "--project", [options](const std::string& name) { options->request.set_project(name); },
      "only of this project");
  command->add_option("--state", options->states, "only RUNNING, FINISHED, FAILED or STALE ones");
  command->add_option("--label", options->labels, "only with this label: KEY=VALUE");
  command->add_option("--limit", options->limit, "at most so many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", options->json, "JSON lines, one per run");
  command->callback([options, &action] { action = [options] { return RunRuns(*options); }; });
}

void AddShowCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ShowOptions>();
  CLI::App* command = app.add_subcommand("show", "What is known about one run now");
  command->add_option("run", options->run_id)->required();
  AddServerOptions(*command, options->server);
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return RunShow(*options); }; });
}

}  // namespace dimwatch::cli
