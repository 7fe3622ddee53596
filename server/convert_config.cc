#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/convert.h"
#include "server/errors.h"
#include "server/limits.h"
#include "server/text.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

// Looks an enum's number up among those that this server knows; 0 stands for the default.
template <typename Core>
absl::Status ReadEnum(absl::string_view field, int number,
                      std::initializer_list<std::pair<int, Core>> known, Core& out) {
  if (number == 0) return absl::OkStatus();
  for (const auto& [value, core] : known) {
    if (value == number) {
      out = core;
      return absl::OkStatus();
    }
  }
  return InvalidField(
      field, absl::StrCat("unknown value ", number, "; 0 to ", known.size(), " are known here"));
}

// Zero means the default.
template <typename From, typename To>
void ReadNumber(From from, To& to) {
  if (from != From{}) to = from;
}

absl::Status ReadSplit(v1::Split split, ProbeSettings& settings) {
  return ReadEnum<Split>("split", split,
                         {{v1::SPLIT_TRAIN, Split::kTrain},
                          {v1::SPLIT_VALIDATION, Split::kValidation},
                          {v1::SPLIT_OTHER, Split::kOther}},
                         settings.identity.split);
}

bool IsLabelKey(absl::string_view key) {
  const auto letter = [](char c) {
    return c == '_' || absl::ascii_isalpha(static_cast<unsigned char>(c));
  };
  const auto other = [&](char c) {
    return letter(c) || absl::ascii_isdigit(static_cast<unsigned char>(c));
  };
  return !key.empty() && key.size() <= kMaxLabelKeyBytes && letter(key[0]) &&
         std::all_of(key.begin(), key.end(), other);
}

absl::Status ValidateText(absl::string_view field, const std::string& text) {
  if (text.size() > kMaxTextBytes) {
    return InvalidField(
        field, absl::StrCat(text.size(), " bytes; at most ", kMaxTextBytes, " are allowed"));
  }
  if (IsPlainText(text)) return absl::OkStatus();
  return InvalidField(field,
                      absl::StrCat(Quoted(text), " holds control characters or is not UTF-8"));
}

absl::Status ValidateHyperparameters(const std::string& json) {
  constexpr absl::string_view kName = "hyperparameters_json";
  if (json.empty()) return absl::OkStatus();
  if (json.size() > kMaxHyperparametersBytes) {
    return InvalidField(kName, absl::StrCat(json.size(), " bytes; at most ",
                                            kMaxHyperparametersBytes, " are allowed"));
  }
  const std::size_t first = json.find_first_not_of(" \t\r\n");
  if (nlohmann::json::accept(json) && json[first] == '{') return absl::OkStatus();
  return InvalidField(kName, absl::StrCat(Quoted(json), " is not a JSON object"));
}

absl::Status ReadProbes(const v1::RunConfig& config, RunRecord& run) {
  for (int i = 0; i < config.probes_size(); ++i) {
    absl::StatusOr<ProbeSettings> probe = FromProto(config.probes(i));
    if (!probe.ok()) return Blame(absl::StrCat("config.probes[", i, "]"), probe.status());
    run.probes.push_back(*std::move(probe));
  }
  return absl::OkStatus();
}

absl::Status ReadConfig(const v1::RunConfig& config, RunRecord& run) {
  absl::StatusOr<SignalSettings> signals = FromProto(config.signals());
  if (!signals.ok()) return Blame("config.signals", signals.status());
  absl::StatusOr<PolicySettings> policy = FromProto(config.policy());
  if (!policy.ok()) return Blame("config.policy", policy.status());
  run.signals = *signals;
  run.policy = *std::move(policy);
  return ReadProbes(config, run);
}

}  // namespace

absl::StatusOr<EstimatorSettings> FromProto(const v1::EstimatorConfig& config) {
  EstimatorSettings out;
  absl::Status status = ReadEnum<Estimator>("estimator", config.estimator(),
                                            {{v1::ESTIMATOR_TWONN, Estimator::kTwoNn},
                                             {v1::ESTIMATOR_TWONN_GLOBAL, Estimator::kTwoNnGlobal},
                                             {v1::ESTIMATOR_MLE, Estimator::kMle},
                                             {v1::ESTIMATOR_MOM, Estimator::kMom},
                                             {v1::ESTIMATOR_GRIDE, Estimator::kGride}},
                                            out.estimator);
  status.Update(ReadEnum<Cdf>(
      "cdf", config.cdf(), {{v1::CDF_PAPER, Cdf::kPaper}, {v1::CDF_UPPER, Cdf::kUpper}}, out.cdf));
  status.Update(ReadEnum<Fit>("fit", config.fit(),
                              {{v1::FIT_OLS, Fit::kOls}, {v1::FIT_ML, Fit::kMl}}, out.fit));
  status.Update(ReadEnum<IndexKind>("index", config.index(),
                                    {{v1::INDEX_KIND_AUTO, IndexKind::kAuto},
                                     {v1::INDEX_KIND_EXACT, IndexKind::kExact},
                                     {v1::INDEX_KIND_HNSW, IndexKind::kHnsw}},
                                    out.index));
  if (!status.ok()) return status;
  ReadNumber(config.neighbors(), out.neighbors);
  ReadNumber(config.max_points(), out.max_points);
  ReadNumber(config.seed(), out.seed);
  ReadNumber(config.queries(), out.queries);
  out.target_standard_error = config.target_standard_error();
  out.duplicate_tolerance = config.duplicate_tolerance();
  status = Validate(out);
  if (!status.ok()) return status;
  return out;
}

AttentionSettings FromProto(const v1::AttentionConfig& config) {
  AttentionSettings out;
  ReadNumber(config.epsilon(), out.epsilon);
  out.relative = config.relative();
  out.heads = config.heads();
  return out;
}

absl::StatusOr<ProbeSettings> FromProto(const v1::ProbeConfig& config) {
  ProbeSettings out;
  absl::Status status = ReadSplit(config.split(), out);
  status.Update(ReadEnum<WindowKind>("window", config.window(),
                                     {{v1::WINDOW_KIND_SNAPSHOT, WindowKind::kSnapshot},
                                      {v1::WINDOW_KIND_ROLLING, WindowKind::kRolling}},
                                     out.window));
  if (!status.ok()) return status;
  absl::StatusOr<EstimatorSettings> estimator = FromProto(config.estimator());
  if (!estimator.ok()) return Blame("estimator", estimator.status());
  out.estimator = *estimator;
  out.identity.name = config.probe();
  out.identity.layer = config.layer();
  out.window_points = config.window_points();
  out.estimate_every = config.estimate_every();
  out.aligned = config.aligned();
  out.dim = config.dim();
  out.scale_every = config.scale_every();
  if (config.has_attention()) out.attention = FromProto(config.attention());
  out = ResolveDefaults(std::move(out));
  // What was asked for in so many words is not read from the name.
  if (status = ReadSplit(config.split(), out); !status.ok()) return status;
  if (status = Validate(out); !status.ok()) return status;
  return out;
}

absl::StatusOr<SignalSettings> FromProto(const v1::SignalConfig& config) {
  SignalSettings out;
  ReadNumber(config.warmup(), out.warmup);
  ReadNumber(config.patience(), out.patience);
  ReadNumber(config.cooldown(), out.cooldown);
  ReadNumber(config.min_delta(), out.min_delta);
  ReadNumber(config.z_score(), out.z_score);
  ReadNumber(config.heartbeat_seconds(), out.heartbeat_seconds);
  ReadNumber(config.collapse_lid(), out.collapse_lid);
  ReadNumber(config.collapse_ratio(), out.collapse_ratio);
  if (absl::Status status = Validate(out); !status.ok()) return status;
  return out;
}

absl::StatusOr<PolicySettings> FromProto(const v1::PolicyConfig& config) {
  PolicySettings out;
  absl::Status status = ReadEnum<PolicyMode>("mode", config.mode(),
                                             {{v1::POLICY_MODE_ADVISORY, PolicyMode::kAdvisory},
                                              {v1::POLICY_MODE_SHADOW, PolicyMode::kShadow},
                                              {v1::POLICY_MODE_ENFORCED, PolicyMode::kEnforced}},
                                             out.mode);
  if (!status.ok()) return status;
  if (config.stop_on_size() > 0) out.stop_on.clear();
  const bool none = config.stop_on_size() == 1 && config.stop_on(0) == "none";
  for (int i = 0; i < config.stop_on_size() && !none; ++i) {
    const std::optional<SignalKind> kind = ParseSignalKind(config.stop_on(i));
    if (!kind) {
      return InvalidField(absl::StrCat("stop_on[", i, "]"),
                          absl::StrCat(Quoted(config.stop_on(i)),
                                       " is not a signal; exhausted, overfitting, memorizing, "
                                       "generalizing, collapsed, diverging, stalled are, and the "
                                       "one entry none switches stopping off"));
    }
    out.stop_on.push_back(*kind);
  }
  ReadNumber(config.min_probes(), out.min_probes);
  out.warmup_step = Step{config.warmup_step()};
  if (status = Validate(out); !status.ok()) return status;
  return out;
}

absl::StatusOr<RunRecord> FromProto(const v1::Run& run) {
  RunRecord out;
  out.run_id = run.run_id();
  out.project = run.project();
  out.display_name = run.display_name().empty() ? run.run_id() : run.display_name();
  out.labels = {run.labels().begin(), run.labels().end()};
  out.user = run.user();
  out.hyperparameters_json = run.hyperparameters_json();
  absl::Status status = Blame("run_id", ValidateName("run_id", out.run_id));
  status.Update(Blame("project", ValidateName("project", out.project)));
  status.Update(ValidateDisplayName(out.display_name));
  status.Update(ValidateLabels(out.labels));
  status.Update(ValidateText("user", out.user));
  status.Update(ValidateHyperparameters(out.hyperparameters_json));
  status.Update(ReadConfig(run.config(), out));
  if (!status.ok()) return status;
  return out;
}

absl::StatusOr<RunState> FromProto(v1::RunState state) {
  RunState out = RunState::kRunning;
  absl::Status status = ReadEnum<RunState>("state", state,
                                           {{v1::RUN_STATE_RUNNING, RunState::kRunning},
                                            {v1::RUN_STATE_FINISHED, RunState::kFinished},
                                            {v1::RUN_STATE_FAILED, RunState::kFailed},
                                            {v1::RUN_STATE_STALE, RunState::kStale}},
                                           out);
  if (status.ok() && state == v1::RUN_STATE_UNSPECIFIED) {
    status = InvalidField("state", "RUN_STATE_UNSPECIFIED is no state of a run");
  }
  if (!status.ok()) return status;
  return out;
}

absl::StatusOr<DType> FromProto(v1::DType dtype) {
  DType out = DType::kF32;
  absl::Status status = ReadEnum<DType>("dtype", dtype,
                                        {{v1::DTYPE_F32, DType::kF32},
                                         {v1::DTYPE_F16, DType::kF16},
                                         {v1::DTYPE_BF16, DType::kBF16},
                                         {v1::DTYPE_F64, DType::kF64}},
                                        out);
  if (status.ok() && dtype == v1::DTYPE_UNSPECIFIED) {
    status = InvalidField("dtype", "is missing; DTYPE_F32, F16, BF16 and F64 are allowed");
  }
  if (!status.ok()) return status;
  return out;
}

absl::Status ValidateDisplayName(const std::string& name) {
  return ValidateText("display_name", name);
}

absl::Status ValidateLabels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > kMaxLabels) {
    return InvalidField(
        "labels", absl::StrCat(labels.size(), " given; at most ", kMaxLabels, " are allowed"));
  }
  for (const auto& [key, value] : labels) {
    if (!IsLabelKey(key)) {
      return InvalidField("labels", absl::StrCat("key ", Quoted(key),
                                                 " does not match [A-Za-z_][A-Za-z0-9_]{0,63}"));
    }
    absl::Status status = ValidateText(absl::StrCat("labels[", key, "]"), value);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace dimwatch::server
