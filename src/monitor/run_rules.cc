#include "src/monitor/run_rules.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/names.h"

namespace dimwatch {
namespace {

bool IsLabelKey(const std::string& key) {
  if (key.empty() || key.size() > kMaxLabelKeyLength) return false;
  const auto word = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  return !absl::ascii_isdigit(static_cast<unsigned char>(key[0])) && std::ranges::all_of(key, word);
}

absl::Status ValidateProbes(const RunRecord& run, const RunLimits& limits) {
  if (static_cast<std::int64_t>(run.probes.size()) > limits.max_probes) {
    return absl::InvalidArgumentError(absl::StrCat("config.probes: ", run.probes.size(),
                                                   " got; allowed are up to ", limits.max_probes));
  }
  std::set<std::string> names;
  for (const ProbeSettings& probe : run.probes) {
    if (absl::Status s = Validate(probe); !s.ok()) return s;
    if (!names.insert(probe.identity.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.probes: ", Quoted(probe.identity.name), " is declared twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateText(const std::string& field, const std::string& text) {
  const bool has_control = std::ranges::any_of(
      text, [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
  if (text.size() <= kMaxTextBytes && !has_control) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", Quoted(text),
                                                 " got; allowed are up to ", kMaxTextBytes,
                                                 " bytes without control characters"));
}

absl::Status ValidateLabels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > kMaxLabels) {
    return absl::InvalidArgumentError(
        absl::StrCat("labels: ", labels.size(), " got; allowed are up to ", kMaxLabels));
  }
  for (const auto& [key, value] : labels) {
    if (!IsLabelKey(key)) {
      return absl::InvalidArgumentError(absl::StrCat("labels: key ", Quoted(key),
                                                     " got; allowed is "
                                                     "[A-Za-z_][A-Za-z0-9_]{0,63}"));
    }
    if (absl::Status s = ValidateText("labels." + key, value); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status ValidateNewRun(const RunRecord& run, const RunLimits& limits) {
  if (absl::Status s = ValidateName("run_id", run.run_id); !s.ok()) return s;
  if (absl::Status s = ValidateName("project", run.project); !s.ok()) return s;
  if (absl::Status s = ValidateText("display_name", run.display_name); !s.ok()) return s;
  if (absl::Status s = ValidateText("user", run.user); !s.ok()) return s;
  if (absl::Status s = ValidateLabels(run.labels); !s.ok()) return s;
  if (run.hyperparameters_json.size() > kMaxHyperparameterBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("hyperparameters_json: ", run.hyperparameters_json.size(),
                     " bytes got; allowed are up to ", kMaxHyperparameterBytes));
  }
  if (absl::Status s = Validate(run.signals); !s.ok()) return s;
  if (absl::Status s = Validate(run.policy); !s.ok()) return s;
  return ValidateProbes(run, limits);
}

}  // namespace dimwatch
