#include "tests/store/describe.h"

#include <bit>

#include "absl/strings/str_cat.h"

namespace dimwatch {
namespace {

class Line {
 public:
  explicit Line(const char* kind) : text_(kind) {}

  template <typename... Values>
  std::string Of(const Values&... values) {
    (Add(values), ...);
    return text_;
  }

 private:
  void Add(std::integral auto value) { absl::StrAppend(&text_, " ", value); }
  void Add(double value) {
    absl::StrAppend(&text_, " ", absl::Hex(std::bit_cast<std::uint64_t>(value)));
  }
  void Add(const std::string& value) { absl::StrAppend(&text_, " ", value.size(), ":", value); }
  void Add(Step value) { Add(value.value); }
  void Add(absl::Time value) { Add(absl::ToUnixNanos(value)); }
  template <typename Value>
  requires std::is_enum_v<Value>
  void Add(Value value) { Add(static_cast<int>(value)); }
  template <typename Value>
  void Add(const std::optional<Value>& value) {
    if (!value.has_value()) {
      text_ += " none";
    } else {
      Add(*value);
    }
  }
  template <typename Value>
  void Add(const std::vector<Value>& values) {
    Add(values.size());
    for (const Value& value : values) Add(value);
  }
  template <typename Value>
  void Add(const std::map<std::string, Value>& values) {
    Add(values.size());
    for (const auto& [name, value] : values) Of(name, value);
  }
  void Add(const Quantile& value) { Of(value.quantile, value.value); }
  void Add(const EstimatorSettings& value) {
    Of(value.estimator, value.neighbors, value.cdf, value.fit, value.index, value.max_points,
       value.seed, value.queries, value.target_standard_error, value.duplicate_tolerance);
  }
  void Add(const ScalePoint& value) {
    Of(value.neighbors, value.parts, value.points, value.distance, value.dimension,
       value.standard_error);
  }
  void Add(const ScaleProfile& value) { Of(value.gride, value.twonn); }
  void Add(const ProbeSettings& value) {
    Of(value.identity.name, value.identity.split, value.identity.layer, value.window,
       value.window_points, value.estimate_every, value.estimator, value.aligned, value.dim,
       value.scale_every, value.attention);
  }
  void Add(const AttentionSettings& value) { Of(value.epsilon, value.relative, value.heads); }
  void Add(const AttentionChange& value) { Of(value.mean, value.standard_error, value.prompts); }
  void Add(const PromptDimension& value) { Of(value.prompt, value.dimension); }
  void Add(const SignalSettings& value) {
    Of(value.warmup, value.patience, value.cooldown, value.min_delta, value.z_score,
       value.heartbeat_seconds, value.collapse_lid, value.collapse_ratio);
  }
  void Add(const PolicySettings& value) {
    Of(value.mode, value.stop_on, value.min_probes, value.warmup_step);
  }

  std::string text_;
};

}  // namespace

std::string Describe(const RunRecord& run) {
  return Line("run").Of(run.run_id, run.project, run.display_name, run.labels, run.user,
                        run.hyperparameters_json, run.signals, run.policy, run.probes, run.state,
                        run.create_time, run.end_time, run.last_sample_time, run.last_step,
                        run.session_epoch, run.applied_seq, run.next_cursor, run.damage,
                        run.stored_bytes);
}

std::string Describe(const EstimateRecord& record) {
  const CloudEstimate& estimate = record.estimate;
  return Line("estimate")
      .Of(record.cursor, record.probe, record.step, record.complete, record.incomplete_reason,
          estimate.settings, estimate.mean, estimate.std, estimate.standard_error,
          estimate.quantiles, estimate.rows, estimate.nonfinite_rows, estimate.duplicate_rows,
          estimate.points, estimate.queries, estimate.invalid, estimate.variance, estimate.recall,
          estimate.seconds, estimate.enough_points, record.window_fill, record.rolling_mean,
          record.paired_change, record.paired_change_standard_error, record.create_time,
          estimate.harmonic_mean, estimate.harmonic_mean_standard_error, estimate.near_duplicates,
          record.scale_profile, estimate.recall_low, estimate.bias_bound, estimate.engine_reason,
          estimate.enough_recall, record.subsampled_reason);
}

std::string Describe(const AttentionRecord& record) {
  const AttentionEstimate& estimate = record.estimate;
  return Line("attention")
      .Of(record.cursor, record.probe, record.step, record.complete, record.incomplete_reason,
          estimate.settings, estimate.mean, estimate.std, estimate.standard_error,
          estimate.quantiles, estimate.prompts, estimate.invalid, record.baseline_step,
          record.baseline_change, record.baseline, record.create_time);
}

std::string Describe(const ScalarRecord& record) {
  return Line("scalar").Of(record.cursor, record.name, record.step, record.value);
}

std::string Describe(const SignalRecord& record) {
  const Signal& signal = record.signal;
  return Line("signal").Of(record.cursor, signal.probe, signal.kind, signal.state, signal.step,
                           signal.reason, signal.evidence, record.create_time);
}

std::string Describe(const DecisionRecord& record) {
  const Decision& decision = record.decision;
  return Line("decision")
      .Of(record.cursor, decision.verdict, decision.step, decision.reason, decision.best_step,
          decision.mode, decision.signals, record.create_time);
}

std::string Describe(const RewindRecord& record) {
  return Line("rewind").Of(record.cursor, record.probe, record.scalar, record.step);
}

std::string Describe(const StateRecord& record) {
  return Line("state").Of(record.cursor, record.state, record.create_time);
}

std::string Describe(const SettingsRecord& record) {
  return Line("settings")
      .Of(record.cursor, record.author, record.step, record.old_signals, record.new_signals,
          record.old_policy, record.new_policy, record.create_time);
}

std::string Describe(const DeclarationItem& item) {
  return Line("declaration").Of(item.seq, item.settings);
}

std::string Describe(const SampleItem& item) {
  return Line("samples").Of(item.seq, item.probe, item.step, item.rank, item.dtype, item.rows,
                            item.dim, item.data, item.sample_ids, item.snapshot_end,
                            item.dropped_rows, item.max_queries, item.scarcity);
}

std::string Describe(const ScalarItem& item) {
  return Line("scalars").Of(item.seq, item.step, item.values);
}

std::string Describe(const AttentionItem& item) {
  return Line("attention")
      .Of(item.seq, item.probe, item.step, item.dtype, item.prompts, item.heads, item.positions,
          item.data, item.dimensions, item.prompt_ids, item.first_positions, item.query_positions,
          item.invalid_prompts, item.dropped_prompts, item.snapshot_end);
}

}  // namespace dimwatch
