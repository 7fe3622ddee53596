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

absl::Status ReadRetention(const std::string& name, const json& days, absl::Duration& retention) {
  const bool allowed = days.is_number_integer() && days.get<std::int64_t>() >= 0 &&
                       days.get<std::int64_t>() <= kMaxRetentionDays;
  if (allowed) {
    retention = RetentionOf(days.get<std::int64_t>());
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": a whole number of days up to ", kMaxRetentionDays, " expected, got ", days.dump()));
}

absl::Status ReadProject(const std::string& project, const json& tables, Projects& projects) {
  v1::RunConfig& config = projects.defaults[project];
  for (const auto& [key, table] : tables.items()) {
    const std::string path = absl::StrCat("projects.", project, ".", key);
    absl::Status status;
    if (key == "signals" && table.is_object()) {
      status = ReadTable(path, table, *config.mutable_signals());
    } else if (key == "policy" && table.is_object()) {
      json policy = table;
      if (const auto mode = policy.find("mode"); mode != policy.end() && mode->is_string()) {
        *mode = absl::StrCat("POLICY_MODE_", absl::AsciiStrToUpper(mode->get<std::string>()));
      }
      status = ReadTable(path, policy, *config.mutable_policy());
    } else if (key == "retention_days") {
      status = ReadRetention(path, table, projects.retention[project]);
    } else {
      status = absl::InvalidArgumentError(absl::StrCat(
          path, " is not known; the tables signals and policy and retention_days are"));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Duration RetentionOf(std::int64_t days) {
  return days == 0 ? absl::InfiniteDuration() : days * absl::Hours(24);
}

absl::StatusOr<Projects> ParseProjects(const std::string& text) {
  const json tables = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!tables.is_object()) return absl::InvalidArgumentError("projects must be a table");
  Projects projects;
  for (const auto& [project, table] : tables.items()) {
    const std::string name = absl::StrCat("projects.", project);
    if (absl::Status status = ValidateName(name, project); !status.ok()) return status;
    if (!table.is_object()) return absl::InvalidArgumentError(name + " must be a table");
    if (absl::Status status = ReadProject(project, table, projects); !status.ok()) return status;
  }
  return projects;
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
