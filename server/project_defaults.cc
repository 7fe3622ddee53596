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

// Whole numbers, but for compute, which is far beyond them.
absl::Status ReadLimit(const std::string& name, const json& value, std::int64_t& limit) {
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0) {
    limit = value.get<std::int64_t>();
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": a whole number, 0 or more, expected (0: no limit), got ", value.dump()));
}
absl::Status ReadLimit(const std::string& name, const json& value, double& limit) {
  if (value.is_number() && value.get<double>() >= 0) {
    limit = value.get<double>();
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": a number, 0 or more, expected (0: no limit), got ", value.dump()));
}

absl::Status ReadQuota(const std::string& name, const json& table, Quota& quota) {
  if (!table.is_object()) return absl::InvalidArgumentError(name + " must be a table");
  for (const auto& [key, value] : table.items()) {
    const std::string path = absl::StrCat(name, ".", key);
    absl::Status status;
    if (key == "max_runs") {
      status = ReadLimit(path, value, quota.max_runs);
    } else if (key == "max_probes") {
      status = ReadLimit(path, value, quota.max_probes);
    } else if (key == "max_queue_bytes") {
      status = ReadLimit(path, value, quota.max_queue_bytes);
    } else if (key == "max_disk_bytes") {
      status = ReadLimit(path, value, quota.max_disk_bytes);
    } else if (key == "compute_per_minute") {
      status = ReadLimit(path, value, quota.compute_per_minute);
    } else {
      status = absl::InvalidArgumentError(
          absl::StrCat(path,
                       " is not known; max_runs, max_probes, max_queue_bytes, max_disk_bytes "
                       "and compute_per_minute are"));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
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
    } else if (key == "quota") {
      Quota& quota = projects.quotas.of_project[project] = projects.quotas.by_default;
      status = ReadQuota(path, table, quota);
    } else if (key == "retention_days") {
      status = ReadRetention(path, table, projects.retention[project]);
    } else {
      status = absl::InvalidArgumentError(absl::StrCat(
          path, " is not known; the tables signals, policy and quota and retention_days are"));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Duration RetentionOf(std::int64_t days) {
  return days == 0 ? absl::InfiniteDuration() : days * absl::Hours(24);
}

absl::StatusOr<Projects> ParseProjects(const std::string& text, const std::string& quota) {
  const json tables = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!tables.is_object()) return absl::InvalidArgumentError("projects must be a table");
  Projects projects;
  const json limits = json::parse(quota, nullptr, /*allow_exceptions=*/false);
  if (absl::Status s = ReadQuota("quota", limits, projects.quotas.by_default); !s.ok()) return s;
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
