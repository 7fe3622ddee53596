#include "server/project_defaults.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "server/convert.h"
#include "server/errors.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

using nlohmann::json;

// Reads one table of a project into the message of the same name.
template <typename Message>
absl::Status ReadTable(const std::string& name, const json& table, Message& message) {
  const auto parsed = google::protobuf::util::JsonStringToMessage(table.dump(), &message);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", std::string(parsed.message())));
  }
  const absl::Status valid = FromProto(message).status();
  if (valid.ok()) return valid;
  return absl::InvalidArgumentError(absl::StrCat(name, ".", std::string(valid.message())));
}

absl::Status ReadProject(const std::string& name, const json& project, v1::RunConfig& config) {
  for (const auto& [key, table] : project.items()) {
    const std::string path = absl::StrCat(name, ".", key);
    absl::Status status;
    if (key == "signals" && table.is_object()) {
      status = ReadTable(path, table, *config.mutable_signals());
    } else if (key == "policy" && table.is_object()) {
      json policy = table;
      if (const auto mode = policy.find("mode"); mode != policy.end() && mode->is_string()) {
        *mode = absl::StrCat("POLICY_MODE_", absl::AsciiStrToUpper(mode->get<std::string>()));
      }
      status = ReadTable(path, policy, *config.mutable_policy());
    } else {
      status = absl::InvalidArgumentError(
          absl::StrCat(path, " is not known; the tables signals and policy are"));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProjectDefaults> ParseProjectDefaults(const std::string& text) {
  const json projects = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!projects.is_object()) return absl::InvalidArgumentError("projects must be a table");
  ProjectDefaults defaults;
  for (const auto& [project, tables] : projects.items()) {
    const std::string name = absl::StrCat("projects.", project);
    if (absl::Status status = ValidateName(name, project); !status.ok()) return status;
    if (!tables.is_object()) return absl::InvalidArgumentError(name + " must be a table");
    if (absl::Status status = ReadProject(name, tables, defaults[project]); !status.ok()) {
      return status;
    }
  }
  return defaults;
}

void ApplyDefaults(const ProjectDefaults& defaults, v1::Run& run) {
  const auto found = defaults.find(run.project());
  if (found == defaults.end()) return;
  v1::SignalConfig signals = found->second.signals();
  signals.MergeFrom(run.config().signals());
  v1::PolicyConfig policy = found->second.policy();
  if (run.config().policy().stop_on_size() > 0) policy.clear_stop_on();
  policy.MergeFrom(run.config().policy());
  *run.mutable_config()->mutable_signals() = std::move(signals);
  *run.mutable_config()->mutable_policy() = std::move(policy);
}

}  // namespace dimwatch::server
