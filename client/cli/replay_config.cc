#include "client/cli/replay_config.h"

#include <toml++/toml.h>

#include <filesystem>
#include <set>
#include <string_view>

namespace dimwatch::cli {
namespace {

// Takes known keys out of a table, one by one; the first failure is kept, and Finish blames what
// was left over.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string name, absl::Status& status)
      : table_(table), name_(std::move(name)), status_(status) {}

  template <typename Number>
  void Take(std::string_view key, Number& value) {
    if constexpr (std::is_floating_point_v<Number>) {
      TakeAs<double>(key, "a number", [&](double number) { value = number; });
    } else {
      TakeAs<std::int64_t>(key, "an integer", [&](std::int64_t number) {
        value = static_cast<Number>(number);
        if (value != number) Fail(key, "is out of range");
      });
    }
  }
  void Take(std::string_view key, std::string& value) {
    TakeAs<std::string>(key, "a string", [&](std::string text) { value = std::move(text); });
  }
  void Take(std::string_view key, std::optional<bool>& value) {
    TakeAs<bool>(key, "true or false", [&](bool flag) { value = flag; });
  }
  // A name that `parse` understands.
  template <typename Value, typename Parse>
  void TakeName(std::string_view key, Parse parse, Value& value) {
    TakeAs<std::string>(key, "a string", [&](const std::string& text) {
      const absl::StatusOr<Value> parsed = parse(text);
      if (parsed.ok()) {
        value = *parsed;
      } else {
        Fail(key, std::string(parsed.status().message()));
      }
    });
  }
  // The table below `key`, if there is one.
  const toml::table* TakeTable(std::string_view key) {
    known_.insert(std::string(key));
    const toml::node* node = table_.get(key);
    if (node != nullptr && !node->is_table()) Fail(key, "must be a table");
    return node == nullptr ? nullptr : node->as_table();
  }
  const toml::array* TakeArray(std::string_view key) {
    known_.insert(std::string(key));
    const toml::node* node = table_.get(key);
    if (node != nullptr && !node->is_array()) Fail(key, "must be an array");
    return node == nullptr ? nullptr : node->as_array();
  }
  void Fail(std::string_view key, const std::string& what) {
    if (!status_.ok()) return;
    const toml::node* node = table_.get(key);
    const auto line = node == nullptr ? table_.source().begin.line : node->source().begin.line;
    status_ = absl::InvalidArgumentError(std::to_string(line) + ": " + name_ + std::string(key) +
                                         " " + what);
  }
  // No other keys are allowed.
  void Finish() {
    for (const auto& [key, node] : table_) {
      if (known_.count(std::string(key.str())) == 0) {
        Fail(key.str(), "is not known; known are " + Known());
      }
    }
  }

 private:
  template <typename Type, typename Assign>
  void TakeAs(std::string_view key, const std::string& type, Assign assign) {
    known_.insert(std::string(key));
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    if (const auto value = node->value<Type>(); value.has_value()) {
      assign(*value);
    } else {
      Fail(key, "must be " + type);
    }
  }
  std::string Known() const {
    std::string all;
    for (const std::string& key : known_) all += (all.empty() ? "" : ", ") + key;
    return all;
  }

  const toml::table& table_;
  const std::string name_;
  absl::Status& status_;
  std::set<std::string> known_;
};

void ReadEstimator(const toml::table& table, const std::string& name, absl::Status& status,
                   EstimatorSettings& settings) {
  TableReader reader(table, name, status);
  reader.TakeName("estimator", ParseEstimator, settings.estimator);
  reader.Take("neighbors", settings.neighbors);
  reader.TakeName("cdf", ParseCdf, settings.cdf);
  reader.TakeName("fit", ParseFit, settings.fit);
  reader.TakeName("index", ParseIndexKind, settings.index);
  reader.Take("max_points", settings.max_points);
  reader.Take("seed", settings.seed);
  reader.Take("queries", settings.queries);
  reader.Take("target_standard_error", settings.target_standard_error);
  reader.Take("duplicate_tolerance", settings.duplicate_tolerance);
  reader.Finish();
}

void ReadSignals(const toml::table& table, absl::Status& status, SignalSettings& settings) {
  TableReader reader(table, "signals.", status);
  reader.Take("warmup", settings.warmup);
  reader.Take("patience", settings.patience);
  reader.Take("cooldown", settings.cooldown);
  reader.Take("min_delta", settings.min_delta);
  reader.Take("z_score", settings.z_score);
  reader.Take("heartbeat_seconds", settings.heartbeat_seconds);
  reader.Take("collapse_lid", settings.collapse_lid);
  reader.Take("collapse_ratio", settings.collapse_ratio);
  reader.Finish();
}

absl::StatusOr<PolicyMode> ParseMode(const std::string& name) {
  if (name == "advisory") return PolicyMode::kAdvisory;
  if (name == "shadow") return PolicyMode::kShadow;
  if (name == "enforced") return PolicyMode::kEnforced;
  return absl::InvalidArgumentError("must be advisory, shadow or enforced, got '" + name + "'");
}

absl::StatusOr<Split> ParseSplit(const std::string& name) {
  if (name == "train") return Split::kTrain;
  if (name == "validation") return Split::kValidation;
  if (name == "other") return Split::kOther;
  return absl::InvalidArgumentError("must be train, validation or other, got '" + name + "'");
}

absl::StatusOr<WindowKind> ParseWindow(const std::string& name) {
  if (name == "snapshot") return WindowKind::kSnapshot;
  if (name == "rolling") return WindowKind::kRolling;
  return absl::InvalidArgumentError("must be snapshot or rolling, got '" + name + "'");
}

void ReadPolicy(const toml::table& table, absl::Status& status, PolicySettings& settings) {
  TableReader reader(table, "policy.", status);
  reader.TakeName("mode", ParseMode, settings.mode);
  reader.Take("min_probes", settings.min_probes);
  reader.Take("warmup_step", settings.warmup_step.value);
  if (const toml::array* names = reader.TakeArray("stop_on")) {
    settings.stop_on.clear();
    for (const toml::node& node : *names) {
      const std::string name = node.value_or(std::string());
      if (name == "none" && names->size() == 1) break;
      const std::optional<SignalKind> kind = ParseSignalKind(name);
      if (!kind.has_value()) {
        reader.Fail("stop_on", "names a signal that does not exist: '" + name + "'");
        break;
      }
      settings.stop_on.push_back(*kind);
    }
  }
  reader.Finish();
}

void ReadProbe(const toml::table& table, absl::Status& status, ReplayConfig::Probe& probe) {
  TableReader reader(table, "probes.", status);
  ProbeSettings& settings = probe.settings;
  reader.Take("probe", settings.identity.name);
  settings.identity.split = ResolveDefaults(settings).identity.split;
  reader.TakeName("split", ParseSplit, settings.identity.split);
  reader.Take("layer", settings.identity.layer);
  reader.TakeName("window", ParseWindow, settings.window);
  reader.Take("window_points", settings.window_points);
  reader.Take("estimate_every", settings.estimate_every);
  reader.Take("aligned", probe.aligned);
  reader.Take("scale_every", settings.scale_every);
  if (const toml::table* estimator = reader.TakeTable("estimator")) {
    ReadEstimator(*estimator, "probes.estimator.", status, settings.estimator);
  }
  if (settings.identity.name.empty()) reader.Fail("probe", "is missing");
  reader.Finish();
}

void ReadAll(const toml::table& table, absl::Status& status, ReplayConfig& config) {
  TableReader reader(table, "", status);
  if (const toml::table* estimator = reader.TakeTable("estimator")) {
    ReadEstimator(*estimator, "estimator.", status, config.estimator);
  }
  reader.Take("neighbors", config.estimator.neighbors);
  if (const toml::table* signals = reader.TakeTable("signals")) {
    ReadSignals(*signals, status, config.signals);
  }
  if (const toml::table* policy = reader.TakeTable("policy")) {
    ReadPolicy(*policy, status, config.policy);
  }
  if (const toml::array* probes = reader.TakeArray("probes")) {
    for (const toml::node& node : *probes) {
      if (!node.is_table()) {
        reader.Fail("probes", "must be tables: [[probes]]");
        break;
      }
      ReplayConfig::Probe& probe = config.probes.emplace_back();
      probe.settings.estimator = config.estimator;
      ReadProbe(*node.as_table(), status, probe);
    }
  }
  reader.Finish();
}

}  // namespace

ReplayConfig::Probe ReplayConfig::ProbeNamed(const std::string& name) const {
  for (const Probe& probe : probes) {
    if (probe.settings.identity.name == name) return probe;
  }
  Probe probe;
  probe.settings.identity.name = name;
  probe.settings.estimator = estimator;
  return probe;
}

absl::StatusOr<ReplayConfig> ReadReplayConfig(const std::string& file) {
  if (!std::filesystem::is_regular_file(file)) {
    return absl::NotFoundError("no configuration file '" + file + "'");
  }
  ReplayConfig config;
  absl::Status status;
  try {
    ReadAll(toml::parse_file(file), status, config);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(file + ":" + std::to_string(error.source().begin.line) +
                                      ": no TOML: " + std::string(error.description()));
  }
  if (!status.ok()) {
    return absl::InvalidArgumentError(file + ":" + std::string(status.message()));
  }
  return config;
}

}  // namespace dimwatch::cli
