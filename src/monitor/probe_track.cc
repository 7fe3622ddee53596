#include "src/monitor/probe_track.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/lid/scale_profile.h"

namespace dimwatch {
namespace {

// Why the estimate must feed no signal; empty for a complete one.
std::string IncompleteReason(const Cloud& cloud, const CloudEstimate& estimate,
                             const ProbeSettings& settings) {
  if (!estimate.enough_points) {
    return absl::StrCat(estimate.points, " distinct finite points; more than ",
                        settings.estimator.neighbors, " (neighbors) are needed");
  }
  if (!estimate.mean) return "no point has a defined LID";
  if (!estimate.enough_recall) return estimate.engine_reason;
  if (cloud.fill < 1) {
    return absl::StrFormat("the window is not full: %d of %d samples", cloud.samples(),
                           settings.window_points);
  }
  if (cloud.dropped_rows > 0) {
    return absl::StrCat(cloud.dropped_rows, " rows were dropped by the client, or refused");
  }
  return "";
}

// Why it is over fewer points than the probe asks for; empty if it is not.
std::string SubsampledReason(const CloudEstimate& estimate, const SampleItem& item) {
  if (item.max_queries == 0 || estimate.queries >= estimate.points) return "";
  const char* why = "";
  switch (item.scarcity) {
    case Scarcity::kNone:
      return "";
    case Scarcity::kQueue:
      why = "the run's queue was more than half full (max_queue_bytes)";
      break;
    case Scarcity::kMemory:
      why = "the server's memory was beyond its soft limit (soft_memory_bytes)";
      break;
    case Scarcity::kCompute:
      why = "the project's share of compute was used up (compute_per_minute)";
      break;
  }
  return absl::StrCat("overload: ", estimate.queries, " of ", estimate.points,
                      " points averaged over, as ", why);
}

// What stays the same of a row from step to step; empty where nothing does.
std::vector<std::int64_t> RowIds(const Cloud& cloud, bool aligned) {
  if (!cloud.sample_ids.empty() || !aligned) return cloud.sample_ids;
  std::vector<std::int64_t> rows(cloud.rows.points());
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

}  // namespace

ProbeTrack::ProbeTrack(ProbeSettings settings, ThreadPool& pool, const Clock& clock,
                       const EngineCosts& costs)
    : settings_(std::move(settings)),
      pool_(pool),
      clock_(clock),
      engines_{.costs = costs, .make_index = nullptr} {}

ProbeTrack::Update ProbeTrack::Add(const SampleItem& item) {
  const WindowBatch batch = BatchOf(item);  // says the dimension, which the window is made for
  const WindowUpdate windowed = window().Add(batch);
  Update update{.rewound_to = windowed.rewound_to,
                .estimates = {},
                .nonfinite_rows = windowed.nonfinite_rows};
  if (windowed.rewound_to) RestoreRewind(*windowed.rewound_to);
  for (const Cloud& cloud : windowed.clouds) update.estimates.push_back(Estimate(cloud, &item));
  return update;
}

std::optional<EstimateRecord> ProbeTrack::Close() {
  const std::optional<Cloud> cloud = window().Close();
  return cloud ? std::optional(Estimate(*cloud, nullptr)) : std::nullopt;
}

void ProbeTrack::RestoreEstimate(EstimateRecord record) {
  Append(record);
  Note(std::move(record));
}

void ProbeTrack::RestoreRewind(Step step) {
  std::erase_if(series_, [step](const SeriesPoint& point) { return point.step >= step; });
  for (std::optional<EstimateRecord>* latest : {&latest_, &latest_profile_}) {
    if (*latest && (*latest)->step >= step) latest->reset();
  }
  previous_.reset();
  refilled_previous_.reset();
}

void ProbeTrack::Refill(const SampleItem& item) {
  const WindowBatch batch = BatchOf(item);
  WindowUpdate windowed = window().Refill(batch);
  if (!settings_.aligned) return;
  if (windowed.rewound_to) refilled_previous_.reset();
  if (!windowed.clouds.empty()) refilled_previous_ = std::move(windowed.clouds.back());
}

std::optional<std::int64_t> ProbeTrack::first_needed_seq() const {
  return window_ ? window_->first_needed_seq() : std::nullopt;
}

std::int64_t ProbeTrack::bytes() const {
  std::int64_t bytes = window_ ? window_->bytes() : 0;
  if (previous_) {
    const std::size_t kept = previous_->lids.capacity() + previous_->shifts.capacity();
    bytes += static_cast<std::int64_t>(kept * sizeof(ByInput::value_type));
  }
  if (refilled_previous_) {
    const PointCloudView rows = refilled_previous_->rows.view();
    bytes += static_cast<std::int64_t>(rows.points() * rows.dim() * sizeof(float));
  }
  return bytes;
}

Window& ProbeTrack::window() {
  if (!window_) {
    std::vector<Step> estimated;
    estimated.reserve(series_.size());
    for (const SeriesPoint& point : series_) estimated.push_back(point.step);
    window_ = MakeWindow(settings_, std::move(estimated), pool_, engines_.costs);
  }
  return *window_;
}

WindowBatch ProbeTrack::BatchOf(const SampleItem& item) {
  settings_.dim = static_cast<int>(item.dim);
  return {.seq = item.seq,
          .step = item.step,
          .dtype = item.dtype,
          .rows = static_cast<std::size_t>(item.rows),
          .dim = static_cast<std::size_t>(item.dim),
          .data = item.data,
          .sample_ids = item.sample_ids,
          .snapshot_end = item.snapshot_end,
          .dropped_rows = item.dropped_rows};
}

absl::StatusOr<CloudEstimate> ProbeTrack::EstimateOf(const Cloud& cloud,
                                                     const EstimatorSettings& wanted,
                                                     PointwiseLid& pointwise) {
  if (cloud.rolling != nullptr) return cloud.rolling->Estimate(pool_, clock_);
  EstimatorSettings settings = wanted;
  EngineOptions engines = engines_;
  if (cloud.graphs != nullptr) {
    settings.index = IndexKind::kHnsw;
    engines.make_index = [&](const CloudRows& rows) { return cloud.graphs->IndexOf(rows); };
  }
  return EstimateCloud(cloud.rows.view(), settings, pool_, clock_,
                       settings_.aligned ? &pointwise : nullptr, engines,
                       RowIds(cloud, settings_.aligned));
}

EstimateRecord ProbeTrack::Estimate(const Cloud& cloud, const SampleItem* item) {
  EstimateRecord record;
  EstimatorSettings settings = settings_.estimator;
  if (item != nullptr && item->max_queries > 0) settings.queries = item->max_queries;
  record.probe = settings_.identity.name;
  record.step = cloud.step;
  record.window_fill = cloud.fill;
  PointwiseLid pointwise;
  absl::StatusOr<CloudEstimate> estimate = EstimateOf(cloud, settings, pointwise);
  if (estimate.ok()) {
    record.estimate = *std::move(estimate);
    if (record.estimate.engine_reason.empty()) record.estimate.engine_reason = cloud.kept_reason;
    record.incomplete_reason = IncompleteReason(cloud, record.estimate, settings_);
    if (item != nullptr) record.subsampled_reason = SubsampledReason(record.estimate, *item);
  } else {
    record.estimate.settings = settings_.estimator;
    record.incomplete_reason = std::string(estimate.status().message());
  }
  record.complete = record.incomplete_reason.empty();
  if (settings_.aligned) AddPairedChange(pointwise, cloud, record);
  if (ScaleIsDue() && record.estimate.mean) {
    record.scale_profile = ProfileScale(cloud.rows.view(), settings_.estimator, pool_);
  }
  Append(record);
  record.rolling_mean = RollingMean();
  record.create_time = clock_.Now();
  Note(record);
  return record;
}

void ProbeTrack::AddPairedChange(const PointwiseLid& pointwise, const Cloud& cloud,
                                 EstimateRecord& record) {
  if (refilled_previous_) {
    PointwiseLid before;
    if (EstimateCloud(refilled_previous_->rows.view(), settings_.estimator, pool_, clock_, &before,
                      engines_, RowIds(*refilled_previous_, true))
            .ok()) {
      previous_ = KeyedByInput(before, refilled_previous_->sample_ids);
    }
    refilled_previous_.reset();
  }
  SnapshotLids current = KeyedByInput(pointwise, cloud.sample_ids);
  if (previous_) {
    if (const std::optional<PairedChange> change = Compare(*previous_, current)) {
      record.paired_change = change->mean;
      record.paired_change_standard_error = change->standard_error;
    }
  }
  previous_ = std::move(current);
}

void ProbeTrack::Append(const EstimateRecord& record) {
  series_.push_back({record.step, record.complete ? record.estimate.mean : std::nullopt});
}

void ProbeTrack::Note(EstimateRecord record) {
  if (record.scale_profile) latest_profile_ = record;
  latest_ = std::move(record);
}

bool ProbeTrack::ScaleIsDue() const {
  const auto every = static_cast<std::size_t>(settings_.scale_every);
  return every > 0 && series_.size() % every == 0;
}

std::optional<double> ProbeTrack::RollingMean() const {
  double sum = 0;
  std::size_t count = 0;
  for (auto point = series_.rbegin(); point != series_.rend(); ++point) {
    if (count == kRollingMeanEstimates) break;
    if (!point->complete_mean) continue;
    sum += *point->complete_mean;
    ++count;
  }
  return count == 0 ? std::nullopt : std::optional(sum / static_cast<double>(count));
}

}  // namespace dimwatch
