#include <utility>

#include "absl/strings/str_cat.h"
#include "server/convert.h"
#include "server/text.h"

namespace dimwatch::server {
namespace {

v1::Estimator ToProto(Estimator estimator) {
  switch (estimator) {
    case Estimator::kTwoNn:
      return v1::ESTIMATOR_TWONN;
    case Estimator::kTwoNnGlobal:
      return v1::ESTIMATOR_TWONN_GLOBAL;
    case Estimator::kMle:
      return v1::ESTIMATOR_MLE;
    case Estimator::kMom:
      return v1::ESTIMATOR_MOM;
    case Estimator::kGride:
      return v1::ESTIMATOR_GRIDE;
  }
  return v1::ESTIMATOR_UNSPECIFIED;
}

v1::IndexKind ToProto(IndexKind index) {
  switch (index) {
    case IndexKind::kAuto:
      return v1::INDEX_KIND_AUTO;
    case IndexKind::kExact:
      return v1::INDEX_KIND_EXACT;
    case IndexKind::kHnsw:
      return v1::INDEX_KIND_HNSW;
  }
  return v1::INDEX_KIND_UNSPECIFIED;
}

v1::SignalState ToProto(SignalState state) {
  switch (state) {
    case SignalState::kInactive:
      return v1::SIGNAL_STATE_INACTIVE;
    case SignalState::kPending:
      return v1::SIGNAL_STATE_PENDING;
    case SignalState::kFiring:
      return v1::SIGNAL_STATE_FIRING;
    case SignalState::kResolved:
      return v1::SIGNAL_STATE_RESOLVED;
  }
  return v1::SIGNAL_STATE_UNSPECIFIED;
}

v1::PolicyMode ToProto(PolicyMode mode) {
  switch (mode) {
    case PolicyMode::kAdvisory:
      return v1::POLICY_MODE_ADVISORY;
    case PolicyMode::kShadow:
      return v1::POLICY_MODE_SHADOW;
    case PolicyMode::kEnforced:
      return v1::POLICY_MODE_ENFORCED;
  }
  return v1::POLICY_MODE_UNSPECIFIED;
}

v1::SignalConfig ToProto(const SignalSettings& settings) {
  v1::SignalConfig out;
  out.set_warmup(settings.warmup);
  out.set_patience(settings.patience);
  out.set_cooldown(settings.cooldown);
  out.set_min_delta(settings.min_delta);
  out.set_z_score(settings.z_score);
  out.set_heartbeat_seconds(settings.heartbeat_seconds);
  out.set_collapse_lid(settings.collapse_lid);
  out.set_collapse_ratio(settings.collapse_ratio);
  return out;
}

v1::PolicyConfig ToProto(const PolicySettings& settings) {
  v1::PolicyConfig out;
  out.set_mode(ToProto(settings.mode));
  for (const SignalKind kind : settings.stop_on) out.add_stop_on(std::string(Name(kind)));
  if (settings.stop_on.empty()) out.add_stop_on("none");
  out.set_min_probes(settings.min_probes);
  out.set_warmup_step(settings.warmup_step.value);
  return out;
}

v1::AttentionConfig ToProto(const AttentionSettings& settings) {
  v1::AttentionConfig out;
  out.set_epsilon(settings.epsilon);
  out.set_relative(settings.relative);
  out.set_heads(settings.heads);
  return out;
}

void WriteQuantiles(const std::vector<Quantile>& quantiles,
                    google::protobuf::RepeatedPtrField<v1::Quantile>& out) {
  for (const Quantile& quantile : quantiles) {
    v1::Quantile* added = out.Add();
    added->set_quantile(quantile.quantile);
    added->set_value(quantile.value);
  }
}

void WriteCurve(const std::vector<ScalePoint>& curve,
                google::protobuf::RepeatedPtrField<v1::ScalePoint>& out) {
  for (const ScalePoint& point : curve) {
    v1::ScalePoint* added = out.Add();
    added->set_neighbors(static_cast<std::int32_t>(point.neighbors));
    added->set_parts(static_cast<std::int32_t>(point.parts));
    added->set_points(point.points);
    added->set_distance(point.distance);
    if (point.dimension) added->set_dimension(*point.dimension);
    if (point.standard_error) added->set_standard_error(*point.standard_error);
  }
}

}  // namespace

v1::Split ToProto(Split split) {
  switch (split) {
    case Split::kTrain:
      return v1::SPLIT_TRAIN;
    case Split::kValidation:
      return v1::SPLIT_VALIDATION;
    case Split::kOther:
      return v1::SPLIT_OTHER;
  }
  return v1::SPLIT_UNSPECIFIED;
}

google::protobuf::Timestamp ToProto(absl::Time time) {
  google::protobuf::Timestamp out;
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  out.set_seconds(seconds);
  out.set_nanos(
      static_cast<std::int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return out;
}

v1::EstimatorConfig ToProto(const EstimatorSettings& settings) {
  v1::EstimatorConfig out;
  out.set_estimator(ToProto(settings.estimator));
  out.set_neighbors(settings.neighbors);
  out.set_cdf(settings.cdf == Cdf::kUpper ? v1::CDF_UPPER : v1::CDF_PAPER);
  out.set_fit(settings.fit == Fit::kMl ? v1::FIT_ML : v1::FIT_OLS);
  out.set_index(ToProto(settings.index));
  out.set_max_points(static_cast<std::int32_t>(settings.max_points));
  out.set_seed(settings.seed);
  out.set_queries(static_cast<std::int32_t>(settings.queries));
  out.set_target_standard_error(settings.target_standard_error);
  out.set_duplicate_tolerance(settings.duplicate_tolerance);
  return out;
}

v1::ProbeConfig ToProto(const ProbeSettings& settings) {
  v1::ProbeConfig out;
  out.set_probe(settings.identity.name);
  out.set_split(ToProto(settings.identity.split));
  out.set_layer(settings.identity.layer);
  out.set_window(settings.window == WindowKind::kRolling ? v1::WINDOW_KIND_ROLLING
                                                         : v1::WINDOW_KIND_SNAPSHOT);
  out.set_window_points(static_cast<std::int32_t>(settings.window_points));
  out.set_estimate_every(static_cast<std::int32_t>(settings.estimate_every));
  *out.mutable_estimator() = ToProto(settings.estimator);
  out.set_aligned(settings.aligned);
  out.set_dim(settings.dim);
  out.set_scale_every(static_cast<std::int32_t>(settings.scale_every));
  if (settings.attention) *out.mutable_attention() = ToProto(*settings.attention);
  return out;
}

v1::RunConfig ConfigToProto(const RunRecord& run) {
  v1::RunConfig out;
  for (const ProbeSettings& probe : run.probes) *out.add_probes() = ToProto(probe);
  *out.mutable_signals() = ToProto(run.signals);
  *out.mutable_policy() = ToProto(run.policy);
  return out;
}

v1::RunState ToProto(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return v1::RUN_STATE_RUNNING;
    case RunState::kFinished:
      return v1::RUN_STATE_FINISHED;
    case RunState::kFailed:
      return v1::RUN_STATE_FAILED;
    case RunState::kStale:
      return v1::RUN_STATE_STALE;
  }
  return v1::RUN_STATE_UNSPECIFIED;
}

v1::Estimate ToProto(const CloudEstimate& estimate) {
  v1::Estimate out;
  if (estimate.mean) out.set_mean(*estimate.mean);
  if (estimate.std) out.set_std(*estimate.std);
  if (estimate.standard_error) out.set_standard_error(*estimate.standard_error);
  if (estimate.harmonic_mean) out.set_harmonic_mean(*estimate.harmonic_mean);
  if (estimate.harmonic_mean_standard_error) {
    out.set_harmonic_mean_standard_error(*estimate.harmonic_mean_standard_error);
  }
  WriteQuantiles(estimate.quantiles, *out.mutable_quantiles());
  out.set_points(estimate.points);
  out.set_queries(estimate.queries);
  out.set_invalid(estimate.invalid);
  out.set_near_duplicates(estimate.near_duplicates);
  out.set_rows(estimate.rows);
  out.set_nonfinite_rows(estimate.nonfinite_rows);
  out.set_duplicate_rows(estimate.duplicate_rows);
  out.set_window_fill(1);
  *out.mutable_config() = ToProto(estimate.settings);
  out.set_recall(estimate.recall);
  out.set_recall_low(estimate.recall_low);
  out.set_bias_bound(estimate.bias_bound);
  out.set_engine_reason(estimate.engine_reason);
  out.set_seconds(estimate.seconds);
  out.set_variance(estimate.variance);
  out.set_complete(estimate.enough_points && estimate.enough_recall);
  if (!estimate.enough_recall) out.set_incomplete_reason(estimate.engine_reason);
  if (!estimate.enough_points) {
    out.set_incomplete_reason(absl::StrCat(estimate.points, " distinct finite points; more than ",
                                           estimate.settings.neighbors, " are needed"));
  }
  return out;
}

v1::Estimate ToProto(const EstimateRecord& record) {
  v1::Estimate out = ToProto(record.estimate);
  out.set_probe(record.probe);
  out.set_step(record.step.value);
  out.set_complete(record.complete);
  out.set_incomplete_reason(record.incomplete_reason);
  out.set_subsampled_reason(record.subsampled_reason);
  out.set_window_fill(record.window_fill);
  if (record.rolling_mean) out.set_rolling_mean(*record.rolling_mean);
  if (record.paired_change) out.set_paired_change(*record.paired_change);
  if (record.paired_change_standard_error) {
    out.set_paired_change_standard_error(*record.paired_change_standard_error);
  }
  if (record.scale_profile) {
    WriteCurve(record.scale_profile->gride, *out.mutable_scale_profile()->mutable_gride());
    WriteCurve(record.scale_profile->twonn, *out.mutable_scale_profile()->mutable_twonn());
  }
  *out.mutable_create_time() = ToProto(record.create_time);
  return out;
}

v1::AttentionEstimate ToProto(const AttentionRecord& record) {
  const AttentionEstimate& estimate = record.estimate;
  v1::AttentionEstimate out;
  out.set_probe(record.probe);
  out.set_step(record.step.value);
  out.set_complete(record.complete);
  out.set_incomplete_reason(record.incomplete_reason);
  if (estimate.mean) out.set_mean(*estimate.mean);
  if (estimate.std) out.set_std(*estimate.std);
  if (estimate.standard_error) out.set_standard_error(*estimate.standard_error);
  WriteQuantiles(estimate.quantiles, *out.mutable_quantiles());
  out.set_prompts(estimate.prompts);
  out.set_invalid(estimate.invalid);
  *out.mutable_config() = ToProto(estimate.settings);
  if (record.baseline_step) out.set_baseline_step(record.baseline_step->value);
  if (record.baseline_change) {
    out.set_baseline_change(record.baseline_change->mean);
    out.set_baseline_change_standard_error(record.baseline_change->standard_error);
    out.set_baseline_prompts(record.baseline_change->prompts);
  }
  *out.mutable_create_time() = ToProto(record.create_time);
  return out;
}

v1::Scalar ToProto(const ScalarRecord& record) {
  v1::Scalar out;
  out.set_name(record.name);
  out.set_step(record.step.value);
  out.set_value(record.value);
  return out;
}

v1::Signal ToProto(const Signal& signal) {
  v1::Signal out;
  out.set_probe(signal.probe);
  out.set_signal(std::string(Name(signal.kind)));
  out.set_state(ToProto(signal.state));
  out.set_step(signal.step.value);
  out.set_reason(ValidUtf8(signal.reason));
  for (const auto& [name, value] : signal.evidence) (*out.mutable_evidence())[name] = value;
  return out;
}

v1::Signal ToProto(const SignalRecord& record) {
  v1::Signal out = ToProto(record.signal);
  *out.mutable_create_time() = ToProto(record.create_time);
  return out;
}

v1::Decision ToProto(const Decision& decision, absl::Time time) {
  v1::Decision out;
  out.set_verdict(decision.verdict == Verdict::kStop ? v1::VERDICT_STOP : v1::VERDICT_CONTINUE);
  out.set_step(decision.step.value);
  out.set_reason(ValidUtf8(decision.reason));
  if (decision.best_step) out.set_best_step(decision.best_step->value);
  out.set_mode(ToProto(decision.mode));
  for (const SignalKind kind : decision.signals) out.add_signals(std::string(Name(kind)));
  *out.mutable_create_time() = ToProto(time);
  return out;
}

Decision ForJob(Decision decision) {
  if (decision.mode != PolicyMode::kShadow || decision.verdict != Verdict::kStop) return decision;
  decision.verdict = Verdict::kContinue;
  decision.best_step.reset();
  decision.reason = absl::StrCat("in shadow mode; otherwise STOP: ", decision.reason);
  return decision;
}

v1::SettingsChange ToProto(const SettingsRecord& record) {
  v1::SettingsChange out;
  *out.mutable_create_time() = ToProto(record.create_time);
  out.set_author(record.author);
  if (record.step) out.set_step(record.step->value);
  *out.mutable_old_signals() = ToProto(record.old_signals);
  *out.mutable_new_signals() = ToProto(record.new_signals);
  *out.mutable_old_policy() = ToProto(record.old_policy);
  *out.mutable_new_policy() = ToProto(record.new_policy);
  return out;
}

v1::Run ToProto(const RunView& view) {
  const RunRecord& run = view.run;
  v1::Run out;
  out.set_run_id(run.run_id);
  out.set_project(run.project);
  out.set_display_name(run.display_name);
  for (const auto& [key, value] : run.labels) (*out.mutable_labels())[key] = value;
  out.set_user(run.user);
  out.set_hyperparameters_json(run.hyperparameters_json);
  *out.mutable_config() = ConfigToProto(run);
  out.set_state(ToProto(run.state));
  *out.mutable_create_time() = ToProto(run.create_time);
  if (run.end_time) *out.mutable_end_time() = ToProto(*run.end_time);
  if (run.last_sample_time) *out.mutable_last_sample_time() = ToProto(*run.last_sample_time);
  if (run.last_step) out.set_last_step(run.last_step->value);
  *out.mutable_decision() = ToProto(view.decision, view.decision_time);
  for (const EstimateRecord& record : view.latest_estimates) {
    *out.add_latest_estimates() = ToProto(record);
  }
  for (const EstimateRecord& record : view.latest_profiles) {
    *out.add_latest_profiles() = ToProto(record);
  }
  for (const AttentionRecord& record : view.latest_attention) {
    *out.add_latest_attention() = ToProto(record);
  }
  for (const Signal& signal : view.signals) *out.add_signals() = ToProto(signal);
  out.set_damage(ValidUtf8(run.damage));
  return out;
}

}  // namespace dimwatch::server
