#include "src/store/settings_json.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/store/enum_names.h"

namespace dimwatch {
namespace {

using nlohmann::json;

// Raised and caught in this file only, like nlohmann's own.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

json Encode(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}
json Encode(const std::string& text) { return text; }
json Encode(SignalKind kind) { return Name(kind); }
json Encode(const Quantile& quantile) {
  return json::array({Encode(quantile.quantile), Encode(quantile.value)});
}

json Encode(const EstimatorSettings& settings) {
  return {{"estimator", Name(settings.estimator)},
          {"neighbors", settings.neighbors},
          {"cdf", Name(settings.cdf)},
          {"fit", Name(settings.fit)},
          {"index", Name(settings.index)},
          {"max_points", settings.max_points},
          {"seed", settings.seed},
          {"queries", settings.queries},
          {"target_standard_error", Encode(settings.target_standard_error)},
          {"duplicate_tolerance", Encode(settings.duplicate_tolerance)}};
}

json Encode(const AttentionSettings& settings) {
  return {{"epsilon", Encode(settings.epsilon)},
          {"relative", settings.relative},
          {"heads", settings.heads}};
}

json Encode(const AttentionChange& change) {
  return {{"mean", Encode(change.mean)},
          {"standard_error", Encode(change.standard_error)},
          {"prompts", change.prompts}};
}

json Encode(const PromptDimension& prompt) {
  return json::array({prompt.prompt, prompt.dimension});
}

json Encode(const ProbeSettings& probe) {
  return {{"probe", probe.identity.name},
          {"split", EnumName(probe.identity.split)},
          {"layer", probe.identity.layer},
          {"window", EnumName(probe.window)},
          {"window_points", probe.window_points},
          {"estimate_every", probe.estimate_every},
          {"estimator", Encode(probe.estimator)},
          {"aligned", probe.aligned},
          {"dim", probe.dim},
          {"scale_every", probe.scale_every},
          {"attention", probe.attention ? Encode(*probe.attention) : json(nullptr)}};
}

json Encode(const SignalSettings& settings) {
  return {{"warmup", settings.warmup},
          {"patience", settings.patience},
          {"cooldown", settings.cooldown},
          {"min_delta", Encode(settings.min_delta)},
          {"z_score", Encode(settings.z_score)},
          {"heartbeat_seconds", Encode(settings.heartbeat_seconds)},
          {"collapse_lid", Encode(settings.collapse_lid)},
          {"collapse_ratio", Encode(settings.collapse_ratio)}};
}

json Encode(const ScalePoint& point) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? Encode(*value) : json(nullptr);
  };
  return json::array({point.neighbors, point.parts, point.points, Encode(point.distance),
                      or_null(point.dimension), or_null(point.standard_error)});
}

template <typename Value>
json Encode(const std::vector<Value>& values) {
  json array = json::array();
  for (const Value& value : values) array.push_back(Encode(value));
  return array;
}

template <typename Value>
json Encode(const std::map<std::string, Value>& values) {
  json object = json::object();
  for (const auto& [name, value] : values) object[name] = Encode(value);
  return object;
}

json Encode(const ScaleProfile& profile) {
  return {{"gride", Encode(profile.gride)}, {"twonn", Encode(profile.twonn)}};
}

json Encode(const PolicySettings& settings) {
  return {{"mode", Name(settings.mode)},
          {"stop_on", Encode(settings.stop_on)},
          {"min_probes", settings.min_probes},
          {"warmup_step", settings.warmup_step.value}};
}

template <typename Value>
absl::StatusOr<std::string> Dump(const Value& value) {
  try {
    return Encode(value).dump();
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

template <typename Enum>
Enum DecodeEnum(const json& from) {
  const auto& name = from.get_ref<const std::string&>();
  const std::optional<Enum> value = ParseEnum<Enum>(name);
  if (!value.has_value()) throw Malformed(absl::StrCat("unknown name '", name, "'"));
  return *value;
}

template <typename Integer>
Integer DecodeInteger(const json& from) {
  const bool fits =
      from.is_number_unsigned()
          ? std::in_range<Integer>(from.get<std::uint64_t>())
          : from.is_number_integer() && std::in_range<Integer>(from.get<std::int64_t>());
  if (!fits) throw Malformed(absl::StrCat("integer in range expected, got ", from.dump()));
  return from.get<Integer>();
}

// One per type, told apart by the value that is filled.
void Decode(const json& from, bool& value) { value = from.get<bool>(); }
void Decode(const json& from, int& value) { value = DecodeInteger<int>(from); }
void Decode(const json& from, std::int64_t& value) { value = DecodeInteger<std::int64_t>(from); }
void Decode(const json& from, std::string& value) { value = from.get_ref<const std::string&>(); }
void Decode(const json& from, Step& value) { Decode(from, value.value); }
void Decode(const json& from, SignalKind& value) { value = DecodeEnum<SignalKind>(from); }

void Decode(const json& from, double& value) {
  using Limits = std::numeric_limits<double>;
  if (from == "nan") {
    value = Limits::quiet_NaN();
  } else if (from == "inf" || from == "-inf") {
    value = from == "inf" ? Limits::infinity() : -Limits::infinity();
  } else {
    value = from.get<double>();
  }
}

void Decode(const json& from, AttentionSettings& value) {
  Decode(from.at("epsilon"), value.epsilon);
  Decode(from.at("relative"), value.relative);
  Decode(from.at("heads"), value.heads);
}

void Decode(const json& from, AttentionChange& value) {
  Decode(from.at("mean"), value.mean);
  Decode(from.at("standard_error"), value.standard_error);
  Decode(from.at("prompts"), value.prompts);
}

void Decode(const json& from, PromptDimension& value) {
  Decode(from.at(0), value.prompt);
  Decode(from.at(1), value.dimension);
}

template <typename Value>
void Decode(const json& from, std::optional<Value>& value) {
  if (!from.is_null()) Decode(from, value.emplace());
}

// A setting that older files lack.
template <typename Value>
void DecodeNewer(const json& from, const char* key, Value& value) {
  if (from.contains(key)) Decode(from.at(key), value);
}

void Decode(const json& from, Quantile& value) {
  Decode(from.at(0), value.quantile);
  Decode(from.at(1), value.value);
}

void Decode(const json& from, EstimatorSettings& value) {
  value.estimator = DecodeEnum<Estimator>(from.at("estimator"));
  Decode(from.at("neighbors"), value.neighbors);
  value.cdf = DecodeEnum<Cdf>(from.at("cdf"));
  value.fit = DecodeEnum<Fit>(from.at("fit"));
  value.index = DecodeEnum<IndexKind>(from.at("index"));
  Decode(from.at("max_points"), value.max_points);
  Decode(from.at("seed"), value.seed);
  Decode(from.at("queries"), value.queries);
  DecodeNewer(from, "target_standard_error", value.target_standard_error);
  DecodeNewer(from, "duplicate_tolerance", value.duplicate_tolerance);
}

void Decode(const json& from, ProbeSettings& value) {
  Decode(from.at("probe"), value.identity.name);
  value.identity.split = DecodeEnum<Split>(from.at("split"));
  Decode(from.at("layer"), value.identity.layer);
  value.window = DecodeEnum<WindowKind>(from.at("window"));
  Decode(from.at("window_points"), value.window_points);
  Decode(from.at("estimate_every"), value.estimate_every);
  Decode(from.at("estimator"), value.estimator);
  Decode(from.at("aligned"), value.aligned);
  Decode(from.at("dim"), value.dim);
  DecodeNewer(from, "scale_every", value.scale_every);
  DecodeNewer(from, "attention", value.attention);
}

void Decode(const json& from, SignalSettings& value) {
  Decode(from.at("warmup"), value.warmup);
  Decode(from.at("patience"), value.patience);
  Decode(from.at("cooldown"), value.cooldown);
  Decode(from.at("min_delta"), value.min_delta);
  Decode(from.at("z_score"), value.z_score);
  Decode(from.at("heartbeat_seconds"), value.heartbeat_seconds);
  Decode(from.at("collapse_lid"), value.collapse_lid);
  Decode(from.at("collapse_ratio"), value.collapse_ratio);
}

void Decode(const json& from, ScalePoint& value) {
  Decode(from.at(0), value.neighbors);
  Decode(from.at(1), value.parts);
  Decode(from.at(2), value.points);
  Decode(from.at(3), value.distance);
  Decode(from.at(4), value.dimension);
  Decode(from.at(5), value.standard_error);
}

template <typename Value>
void Decode(const json& from, std::vector<Value>& values) {
  values.clear();
  for (const json& element : from.get_ref<const json::array_t&>()) {
    Decode(element, values.emplace_back());
  }
}

template <typename Value>
void Decode(const json& from, std::map<std::string, Value>& values) {
  for (const auto& [name, element] : from.get_ref<const json::object_t&>()) {
    Decode(element, values[name]);
  }
}

void Decode(const json& from, ScaleProfile& value) {
  Decode(from.at("gride"), value.gride);
  Decode(from.at("twonn"), value.twonn);
}

void Decode(const json& from, PolicySettings& value) {
  value.mode = DecodeEnum<PolicyMode>(from.at("mode"));
  Decode(from.at("stop_on"), value.stop_on);
  Decode(from.at("min_probes"), value.min_probes);
  Decode(from.at("warmup_step"), value.warmup_step);
}

}  // namespace

absl::StatusOr<std::string> ToJson(const ProbeSettings& probe) { return Dump(probe); }
absl::StatusOr<std::string> ToJson(const std::vector<ProbeSettings>& probes) {
  return Dump(probes);
}
absl::StatusOr<std::string> ToJson(const EstimatorSettings& settings) { return Dump(settings); }
absl::StatusOr<std::string> ToJson(const AttentionSettings& settings) { return Dump(settings); }
absl::StatusOr<std::string> ToJson(const AttentionChange& change) { return Dump(change); }
absl::StatusOr<std::string> ToJson(const std::vector<PromptDimension>& prompts) {
  return Dump(prompts);
}
absl::StatusOr<std::string> ToJson(const SignalSettings& settings) { return Dump(settings); }
absl::StatusOr<std::string> ToJson(const PolicySettings& settings) { return Dump(settings); }
absl::StatusOr<std::string> ToJson(const std::vector<Quantile>& quantiles) {
  return Dump(quantiles);
}
absl::StatusOr<std::string> ToJson(const ScaleProfile& profile) { return Dump(profile); }
absl::StatusOr<std::string> ToJson(const std::vector<SignalKind>& kinds) { return Dump(kinds); }
absl::StatusOr<std::string> ToJson(const std::map<std::string, std::string>& labels) {
  return Dump(labels);
}
absl::StatusOr<std::string> ToJson(const std::map<std::string, double>& evidence) {
  return Dump(evidence);
}

template <typename Value>
absl::StatusOr<Value> FromJson(std::string_view text) {
  try {
    Value value;
    Decode(json::parse(text), value);
    return value;
  } catch (const std::exception& error) {
    return absl::DataLossError(error.what());
  }
}

template absl::StatusOr<ProbeSettings> FromJson(std::string_view);
template absl::StatusOr<std::vector<ProbeSettings>> FromJson(std::string_view);
template absl::StatusOr<EstimatorSettings> FromJson(std::string_view);
template absl::StatusOr<AttentionSettings> FromJson(std::string_view);
template absl::StatusOr<AttentionChange> FromJson(std::string_view);
template absl::StatusOr<std::vector<PromptDimension>> FromJson(std::string_view);
template absl::StatusOr<SignalSettings> FromJson(std::string_view);
template absl::StatusOr<PolicySettings> FromJson(std::string_view);
template absl::StatusOr<std::vector<Quantile>> FromJson(std::string_view);
template absl::StatusOr<ScaleProfile> FromJson(std::string_view);
template absl::StatusOr<std::vector<SignalKind>> FromJson(std::string_view);
template absl::StatusOr<std::map<std::string, std::string>> FromJson(std::string_view);
template absl::StatusOr<std::map<std::string, double>> FromJson(std::string_view);

}  // namespace dimwatch
