// A trace of vectors, item by item as a server gets them.
#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/replayer.h"
#include "client/cli/system_clock.h"
#include "src/base/npy.h"
#include "src/lid/queries.h"
#include "src/monitor/run_pipeline.h"

namespace dimwatch::cli {
namespace {

// Every snapshot of the probe has the same rows: the files of one probe have one type and width, so
// those of the same number of rows have the same size.
bool RowCountsAgree(const std::vector<TraceStep>& trace, const std::string& probe) {
  std::set<std::uintmax_t> sizes;
  for (const TraceStep& step : trace) {
    std::uintmax_t size = 0;
    for (const TraceSamples& samples : step.samples) {
      if (samples.probe != probe) continue;
      std::error_code error;
      size += std::filesystem::file_size(samples.file, error);
    }
    if (size > 0) sizes.insert(size);
  }
  return sizes.size() == 1;
}

// The probes of a trace in the order of their first samples, as the configuration wants them.
absl::StatusOr<std::vector<ProbeSettings>> Probes(const std::vector<TraceStep>& trace,
                                                  const ReplayConfig& config,
                                                  const EstimatorFlags& flags) {
  std::vector<ProbeSettings> probes;
  std::set<std::string> seen;
  for (const TraceStep& step : trace) {
    for (const TraceSamples& samples : step.samples) {
      if (!seen.insert(samples.probe).second) continue;
      ReplayConfig::Probe probe = config.ProbeNamed(samples.probe);
      const bool snapshot = probe.settings.window == WindowKind::kSnapshot;
      probe.settings.aligned =
          probe.aligned.value_or(snapshot && RowCountsAgree(trace, samples.probe));
      const absl::Status status = flags.Apply(probe.settings.estimator);
      if (!status.ok()) return status;
      probes.push_back(ResolveDefaults(probe.settings));
    }
    for (const TraceAttention& attention : step.attention) {
      if (!seen.insert(attention.probe).second) continue;
      ProbeSettings settings;
      settings.identity.name = attention.probe;
      settings.attention = attention.settings;
      settings.attention->heads = 0;
      probes.push_back(ResolveDefaults(settings));
    }
  }
  return probes;
}

// Feeds a trace to the pipeline item by item, as a server does with a job's stream.
class TraceReplayer {
 public:
  TraceReplayer(const RunRecord& run, ThreadPool& pool, const EngineCosts& costs, ReplaySink& sink)
      : admission_(run, Limits(), {}, costs), pipeline_(run, pool, clock_, costs), sink_(sink) {}

  absl::Status Declare(const ProbeSettings& probe) {
    return Offer(DeclarationItem{.seq = ++seq_, .settings = probe});
  }

  absl::Status Feed(const TraceStep& step) {
    if (!step.scalars.empty()) {
      Report(step, "", Offer(ScalarItem{.seq = ++seq_, .step = step.step, .values = step.scalars}));
    }
    for (auto samples = step.samples.begin(); samples != step.samples.end(); ++samples) {
      const bool last = std::none_of(samples + 1, step.samples.end(), [&](const auto& later) {
        return later.probe == samples->probe;
      });
      absl::StatusOr<PointCloud> cloud = ReadNpy(samples->file);
      if (!cloud.ok()) return InTrace(cloud.status(), step);
      Report(step, samples->probe, Offer(ToItem(*cloud, samples->probe, step.step, last)));
    }
    for (auto maps = step.attention.begin(); maps != step.attention.end(); ++maps) {
      const bool last = std::none_of(maps + 1, step.attention.end(),
                                     [&](const auto& later) { return later.probe == maps->probe; });
      absl::StatusOr<AttentionItem> item = ToItem(*maps, step.step, last);
      if (!item.ok()) return InTrace(item.status(), step);
      Report(step, maps->probe, SameCounting(*maps) ? Offer(*std::move(item)) : OtherCounting());
    }
    return absl::OkStatus();
  }

  void Finish() {
    sink_.Add(pipeline_.Finish(/*failed=*/false));
    sink_.Finish(pipeline_.decision());
  }

 private:
  // The machine's memory is the only limit offline.
  static RunLimits Limits() {
    constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
    return {.max_probes = kNone,
            .max_scalar_names = kNone,
            .max_batch_bytes = kNone,
            .max_window_bytes = kNone};
  }

  SampleItem ToItem(PointCloud& cloud, const std::string& probe, Step step, bool last) {
    SampleItem item;
    item.seq = ++seq_;
    item.probe = probe;
    item.step = step;
    item.rows = static_cast<std::int64_t>(cloud.points());
    item.dim = static_cast<std::int64_t>(cloud.dim());
    item.data.resize(cloud.data().size() * sizeof(float));
    std::memcpy(item.data.data(), cloud.data().data(), item.data.size());
    item.snapshot_end = last;
    return item;
  }

  absl::StatusOr<AttentionItem> ToItem(const TraceAttention& maps, Step step, bool last) {
    AttentionItem item;
    item.seq = ++seq_;
    item.probe = maps.probe;
    item.step = step;
    item.prompt_ids = maps.ids;
    item.snapshot_end = last;
    if (maps.file.empty()) {
      item.prompts = std::ssize(maps.dimensions);
      item.heads = maps.settings.heads;
      item.positions = maps.positions;
      item.dimensions = maps.dimensions;
      item.invalid_prompts = maps.invalid;
      return item;
    }
    absl::StatusOr<NpyArray> array = ReadNpyArray(maps.file);
    if (!array.ok()) return array.status();
    if (array->shape.size() != 3) {
      return absl::InvalidArgumentError(maps.file.string() +
                                        ": prompts x heads x positions are needed");
    }
    item.dtype = array->dtype;
    item.prompts = static_cast<std::int64_t>(array->shape[0]);
    item.heads = static_cast<std::int64_t>(array->shape[1]);
    item.positions = static_cast<std::int64_t>(array->shape[2]);
    item.data = std::move(array->data);
    item.first_positions = maps.first_positions;
    item.query_positions = maps.query_positions;
    return item;
  }

  // As the probe's first maps were counted: counts of other kinds are no series.
  bool SameCounting(const TraceAttention& maps) const {
    return std::ranges::any_of(pipeline_.run().probes, [&](const ProbeSettings& probe) {
      return probe.identity.name == maps.probe && probe.attention &&
             probe.attention->epsilon == maps.settings.epsilon &&
             probe.attention->relative == maps.settings.relative;
    });
  }

  static absl::Status OtherCounting() {
    return absl::InvalidArgumentError(
        "counted with another epsilon than the first maps of the probe, or of a probe of samples");
  }

  static absl::Status InTrace(const absl::Status& status, const TraceStep& step) {
    return absl::Status(status.code(), "trace.jsonl:" + std::to_string(step.line) + ": " +
                                           std::string(status.message()));
  }

  absl::Status Offer(const IngestItem& item) {
    const RunAdmission::Rejection rejection = admission_.Check(item);
    if (!rejection.status.ok()) return rejection.status;
    admission_.Note(item);
    if (const auto changes = pipeline_.Apply(item); changes.has_value()) sink_.Add(*changes);
    return absl::OkStatus();
  }

  void Report(const TraceStep& step, const std::string& probe, const absl::Status& status) {
    if (!status.ok()) sink_.Rejected(step.step, probe, std::string(status.message()));
  }

  SystemClock clock_;
  RunAdmission admission_;
  RunPipeline pipeline_;
  ReplaySink& sink_;
  std::int64_t seq_ = 0;
};

// Measured where the choice of an engine may depend on it.
EngineCosts CostsFor(std::span<const ProbeSettings> probes) {
  const bool close = std::ranges::any_of(probes, [](const ProbeSettings& probe) {
    const auto points = static_cast<std::size_t>(probe.estimator.max_points);
    const auto neighbors = static_cast<std::size_t>(probe.estimator.neighbors);
    const std::size_t queries = FirstQueries(points, probe.estimator);
    return probe.estimator.index == IndexKind::kAuto &&
           (IsCloseCall({}, points, queries, 128, neighbors) ||
            IsCloseCall({}, points, queries, 4096, neighbors));
  });
  return close ? MeasureEngineCosts(ThreadClock()) : EngineCosts();
}

}  // namespace

absl::Status ReplayTrace(const std::vector<TraceStep>& trace, const ReplayConfig& config,
                         const EstimatorFlags& flags, int threads, ReplaySink& sink) {
  const auto probes = Probes(trace, config, flags);
  if (!probes.ok()) return probes.status();
  RunRecord run;
  run.run_id = run.project = run.display_name = "replay";
  run.signals = config.signals;
  run.policy = config.policy;
  ThreadPool pool(ComputeThreads(threads) - 1);  // the calling thread works too
  TraceReplayer replayer(run, pool, CostsFor(*probes), sink);
  for (const ProbeSettings& probe : *probes) {
    if (absl::Status status = replayer.Declare(probe); !status.ok()) return status;
  }
  for (const TraceStep& step : trace) {
    if (absl::Status status = replayer.Feed(step); !status.ok()) return status;
  }
  replayer.Finish();
  return absl::OkStatus();
}

}  // namespace dimwatch::cli
