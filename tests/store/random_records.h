// Random records and items for the store's tests: every field takes unusual values, too.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "src/store/ingest_item.h"
#include "src/store/records.h"
#include "src/store/store.h"

namespace dimwatch {

class RandomRecords {
 public:
  explicit RandomRecords(unsigned seed) : engine_(seed) {}

  std::int64_t Int(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
  }
  bool Flip() { return Int(0, 1) == 1; }

  double Double() {
    constexpr double kOdd[] = {0.0, -0.0, 5e-324, -1.0, 0.1, 1e300, 3.0, 9007199254740993.0};
    if (Int(0, 3) == 0) return kOdd[Int(0, std::size(kOdd) - 1)];
    return std::ldexp(std::uniform_real_distribution<double>(-1, 1)(engine_),
                      static_cast<int>(Int(-1000, 1000)));
  }

  std::optional<double> MaybeDouble() { return Flip() ? std::optional(Double()) : std::nullopt; }

  std::string Text() {
    constexpr const char* kOdd[] = {"", "it's \"quoted\"", "grüße, 世界", "two\nlines", "%s;--"};
    if (Int(0, 2) == 0) return kOdd[Int(0, std::size(kOdd) - 1)];
    std::string text(static_cast<std::size_t>(Int(0, 30)), 'a');
    for (char& c : text) c = static_cast<char>(Int('0', 'z'));
    return text;
  }

  absl::Time Time() { return absl::FromUnixNanos(Int(0, 2'000'000'000'000'000'000)); }

  template <typename Enum>
  Enum Any(Enum last) {
    return static_cast<Enum>(Int(0, static_cast<std::int64_t>(last)));
  }

  EstimatorSettings Estimating() {
    return {.estimator = Any(Estimator::kGride),
            .neighbors = static_cast<int>(Int(4, 2048)),
            .cdf = Any(Cdf::kUpper),
            .fit = Any(Fit::kMl),
            .index = Any(IndexKind::kHnsw),
            .max_points = Int(1, 1'000'000),
            .seed = Int(std::numeric_limits<std::int64_t>::min(),
                        std::numeric_limits<std::int64_t>::max()),
            .queries = Int(0, 10'000),
            .target_standard_error = Double(),
            .duplicate_tolerance = Double()};
  }

  ProbeSettings Probe(std::string name) {
    ProbeSettings probe;
    probe.identity = {std::move(name), Any(Split::kOther), Text()};
    probe.window = Any(WindowKind::kRolling);
    probe.window_points = Int(0, 1 << 20);
    probe.estimate_every = Int(0, 1 << 20);
    probe.estimator = Estimating();
    probe.aligned = Flip();
    probe.dim = static_cast<int>(Int(0, 65'536));
    probe.scale_every = Int(0, 1'000'000);
    if (Flip()) probe.attention = Counting();
    return probe;
  }

  AttentionSettings Counting() {
    return {.epsilon = Double(), .relative = Flip(), .heads = static_cast<int>(Int(0, 1024))};
  }

  std::vector<SignalKind> Kinds() {
    std::vector<SignalKind> kinds;
    for (int kind = 0; kind <= static_cast<int>(SignalKind::kStalled); ++kind) {
      if (Flip()) kinds.push_back(static_cast<SignalKind>(kind));
    }
    return kinds;
  }

  RunRecord Run(std::string run_id) {
    RunRecord run;
    run.run_id = std::move(run_id);
    run.project = Text();
    run.display_name = Text();
    for (std::int64_t i = Int(0, 3); i > 0; --i) run.labels[Text()] = Text();
    run.user = Text();
    run.hyperparameters_json = R"({"lr": 5e-5})";
    run.signals = {.warmup = static_cast<int>(Int(0, 100)),
                   .patience = static_cast<int>(Int(0, 100)),
                   .cooldown = static_cast<int>(Int(0, 100)),
                   .min_delta = Double(),
                   .z_score = Double(),
                   .heartbeat_seconds = Double(),
                   .collapse_lid = Double(),
                   .collapse_ratio = Double()};
    run.policy = {.mode = Any(PolicyMode::kEnforced),
                  .stop_on = Kinds(),
                  .min_probes = static_cast<int>(Int(1, 5)),
                  .warmup_step = Step{Int(0, 1'000'000)}};
    for (std::int64_t i = Int(0, 3); i > 0; --i) run.probes.push_back(Probe(Text()));
    run.state = Any(RunState::kStale);
    run.create_time = Time();
    if (Flip()) run.end_time = Time();
    if (Flip()) run.last_sample_time = Time();
    if (Flip()) run.last_step = Step{Int(0, 1'000'000)};
    run.session_epoch = Int(0, std::numeric_limits<std::int64_t>::max());
    run.applied_seq = Int(0, 1'000'000);
    run.next_cursor = Int(1, 1'000'000);
    return run;
  }

  EstimateRecord Estimate(std::int64_t cursor, std::string probe, Step step) {
    EstimateRecord record;
    record.cursor = cursor;
    record.probe = std::move(probe);
    record.step = step;
    record.complete = Flip();
    record.incomplete_reason = Text();
    CloudEstimate& estimate = record.estimate;
    estimate.settings = Estimating();
    estimate.mean = MaybeDouble();
    estimate.std = MaybeDouble();
    estimate.standard_error = MaybeDouble();
    if (Flip()) {
      for (const double quantile : kQuantiles) estimate.quantiles.push_back({quantile, Double()});
    }
    for (std::int64_t* count :
         {&estimate.rows, &estimate.nonfinite_rows, &estimate.duplicate_rows, &estimate.points,
          &estimate.queries, &estimate.invalid, &estimate.near_duplicates}) {
      *count = Int(0, 1'000'000);
    }
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    estimate.variance = Flip() ? Double() : (Flip() ? kInfinity : std::nan(""));
    estimate.recall = Double();
    estimate.recall_low = Double();
    estimate.bias_bound = Double();
    estimate.engine_reason = Text();
    record.subsampled_reason = Text();
    estimate.enough_recall = Flip();
    estimate.seconds = Double();
    estimate.enough_points = Flip();
    record.window_fill = Double();
    record.rolling_mean = MaybeDouble();
    record.paired_change = MaybeDouble();
    record.paired_change_standard_error = MaybeDouble();
    record.create_time = Time();
    estimate.harmonic_mean = MaybeDouble();
    estimate.harmonic_mean_standard_error = MaybeDouble();
    if (Flip()) record.scale_profile = Profile();
    return record;
  }

  ScaleProfile Profile() {
    ScaleProfile profile;
    for (std::vector<ScalePoint>* curve : {&profile.gride, &profile.twonn}) {
      for (std::int64_t i = Int(0, 3); i > 0; --i) {
        curve->push_back({.neighbors = Int(2, 256),
                          .parts = Int(1, 1000),
                          .points = Int(1, 1'000'000),
                          .distance = Double(),
                          .dimension = MaybeDouble(),
                          .standard_error = MaybeDouble()});
      }
    }
    return profile;
  }

  AttentionRecord Attention(std::int64_t cursor, std::string probe, Step step) {
    AttentionRecord record;
    record.cursor = cursor;
    record.probe = std::move(probe);
    record.step = step;
    record.complete = Flip();
    record.incomplete_reason = Text();
    AttentionEstimate& estimate = record.estimate;
    estimate.settings = Counting();
    estimate.mean = MaybeDouble();
    estimate.std = MaybeDouble();
    estimate.standard_error = MaybeDouble();
    if (Flip()) estimate.quantiles.push_back({0.5, Double()});
    estimate.prompts = Int(0, 1'000'000);
    estimate.invalid = Int(0, 1'000'000);
    if (Flip()) record.baseline_step = Step{Int(0, 1'000'000)};
    if (Flip()) record.baseline_change = AttentionChange{Double(), Double(), Int(0, 1'000'000)};
    for (std::int64_t i = Int(0, 3); i > 0; --i) {
      record.baseline.push_back({Int(-5, 1'000'000'000'000), Int(0, 1 << 30)});
    }
    record.create_time = Time();
    return record;
  }

  ScalarRecord Scalar(std::int64_t cursor, std::string name, Step step) {
    return {cursor, std::move(name), step, Double()};
  }

  SignalRecord SignalChange(std::int64_t cursor) {
    Signal signal{Text(),
                  Any(SignalKind::kStalled),
                  Any(SignalState::kResolved),
                  Step{Int(0, 1'000'000)},
                  Text(),
                  {}};
    for (std::int64_t i = Int(0, 3); i > 0; --i) signal.evidence[Text()] = Double();
    return {cursor, std::move(signal), Time()};
  }

  DecisionRecord DecisionChange(std::int64_t cursor) {
    Decision decision{Any(Verdict::kStop), Step{Int(0, 1'000'000)},    Text(),
                      std::nullopt,        Any(PolicyMode::kEnforced), Kinds()};
    if (Flip()) decision.best_step = Step{Int(0, 1'000'000)};
    return {cursor, std::move(decision), Time()};
  }

  SettingsRecord SettingsChange(std::int64_t cursor) {
    const RunRecord before = Run("before");
    const RunRecord after = Run("after");
    SettingsRecord record{cursor,        Text(),        std::nullopt, before.signals,
                          after.signals, before.policy, after.policy, Time()};
    if (Flip()) record.step = Step{Int(0, 1'000'000)};
    return record;
  }

  StateRecord StateChange(std::int64_t cursor) { return {cursor, Any(RunState::kStale), Time()}; }

  // An item whose data has up to `max_rows` rows.
  IngestItem Item(std::int64_t seq, std::int64_t max_rows = 5) {
    switch (Int(0, 3)) {
      case 0:
        return DeclarationItem{seq, Probe(Text())};
      case 1: {
        ScalarItem item{seq, Step{Int(0, 1'000'000)}, {}};
        for (std::int64_t i = Int(0, 4); i > 0; --i) item.values[Text()] = Double();
        return item;
      }
      case 2:
        return Attention(seq, Int(0, max_rows));
      default:
        return Samples(seq, Int(0, max_rows), Int(1, 8));
    }
  }

  AttentionItem Attention(std::int64_t seq, std::int64_t prompts) {
    AttentionItem item;
    item.seq = seq;
    item.probe = Text();
    item.step = Step{Int(0, 1'000'000)};
    item.dtype = Any(DType::kF64);
    item.prompts = prompts;
    item.heads = Int(1, 3);
    item.positions = Int(1, 4);
    const bool counted = Flip();
    for (std::int64_t prompt = 0; prompt < prompts; ++prompt) {
      if (counted) item.dimensions.push_back(Int(0, 1 << 30));
      item.prompt_ids.push_back(Int(-5, 1 << 30));
      item.first_positions.push_back(static_cast<std::int32_t>(Int(0, 3)));
      item.query_positions.push_back(static_cast<std::int32_t>(Int(0, 3)));
    }
    if (!counted) {
      item.data.resize(static_cast<std::size_t>(prompts * item.heads * item.positions) *
                       SizeOf(item.dtype));
      for (char& byte : item.data) byte = static_cast<char>(engine_());
    }
    item.invalid_prompts = Int(0, 10);
    item.dropped_prompts = Int(0, 10);
    item.snapshot_end = Flip();
    return item;
  }

  SampleItem Samples(std::int64_t seq, std::int64_t rows, std::int64_t dim) {
    SampleItem item;
    item.seq = seq;
    item.probe = Text();
    item.step = Step{Int(0, 1'000'000)};
    item.rank = static_cast<int>(Int(0, 7));
    item.dtype = Any(DType::kF64);
    item.rows = rows;
    item.dim = dim;
    item.data.resize(static_cast<std::size_t>(rows * dim) * SizeOf(item.dtype));
    for (char& byte : item.data) byte = static_cast<char>(engine_());
    if (Flip()) {
      for (std::int64_t row = 0; row < rows; ++row) item.sample_ids.push_back(Int(-5, 1 << 30));
    }
    item.snapshot_end = Flip();
    item.dropped_rows = Int(0, 10);
    if (Flip()) {
      item.max_queries = Int(1, 1000);
      item.scarcity = Scarcity::kCompute;
    }
    return item;
  }

 private:
  std::mt19937_64 engine_;
};

// A new folder that goes with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "dimwatch-store-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace dimwatch
