#include "dimwatch/client.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <limits>
#include <random>
#include <utility>

#include "client/cpp/sender.h"

namespace dimwatch {
inline namespace client_v1 {
namespace {

// "20261121-234500-1f2e3d4c".
std::string NewRunId() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char day[32];
  std::strftime(day, sizeof day, "%Y%m%d-%H%M%S", &utc);
  char id[48];
  std::snprintf(id, sizeof id, "%s-%08x", day, static_cast<unsigned>(std::random_device{}()));
  return id;
}

v1::ProbeConfig ToProto(ProbeOptions&& options) {
  v1::ProbeConfig config;
  config.set_probe(std::move(options.name));
  config.set_split(static_cast<v1::Split>(options.split));
  config.set_layer(std::move(options.layer));
  config.set_window(static_cast<v1::WindowKind>(options.window));
  config.set_window_points(options.window_points);
  config.set_estimate_every(options.estimate_every);
  config.set_aligned(options.aligned);
  config.set_scale_every(options.scale_every);
  v1::EstimatorConfig& estimator = *config.mutable_estimator();
  estimator.set_estimator(static_cast<v1::Estimator>(options.estimator));
  estimator.set_neighbors(options.neighbors);
  estimator.set_cdf(static_cast<v1::Cdf>(options.cdf));
  estimator.set_fit(static_cast<v1::Fit>(options.fit));
  estimator.set_index(static_cast<v1::IndexKind>(options.index));
  estimator.set_max_points(options.max_points);
  estimator.set_seed(options.seed);
  estimator.set_queries(options.queries);
  estimator.set_target_standard_error(options.target_standard_error);
  estimator.set_duplicate_tolerance(options.duplicate_tolerance);
  return config;
}

v1::SignalConfig ToProto(const SignalOptions& options) {
  v1::SignalConfig config;
  config.set_warmup(options.warmup);
  config.set_patience(options.patience);
  config.set_cooldown(options.cooldown);
  config.set_min_delta(options.min_delta);
  config.set_z_score(options.z_score);
  config.set_heartbeat_seconds(options.heartbeat_seconds);
  config.set_collapse_lid(options.collapse_lid);
  config.set_collapse_ratio(options.collapse_ratio);
  return config;
}

v1::PolicyConfig ToProto(const PolicyOptions& options) {
  v1::PolicyConfig config;
  config.set_mode(static_cast<v1::PolicyMode>(options.mode));
  config.mutable_stop_on()->Add(options.stop_on.begin(), options.stop_on.end());
  config.set_min_probes(options.min_probes);
  config.set_warmup_step(options.warmup_step);
  return config;
}

v1::Run ToProto(const RunOptions& options) {
  v1::Run run;
  run.set_run_id(options.run_id.empty() ? NewRunId() : options.run_id);
  run.set_project(options.project);
  run.set_display_name(options.name);
  run.mutable_labels()->insert(options.labels.begin(), options.labels.end());
  run.set_user(options.user);
  run.set_hyperparameters_json(options.hyperparameters_json);
  *run.mutable_config()->mutable_signals() = ToProto(options.signals);
  *run.mutable_config()->mutable_policy() = ToProto(options.policy);
  return run;
}

std::int64_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kF64:
      return 8;
    case DType::kF32:
      break;
  }
  return 4;
}

// Empty for a batch whose size can be computed and whose ids match; the server checks the rest.
std::string WhyInvalid(std::int64_t rows, std::int64_t dim, const BatchOptions& batch) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  if (rows < 0 || dim < 0 || rows > kMax || dim > kMax / 8) {
    return std::to_string(rows) + " rows of " + std::to_string(dim) + " components";
  }
  if (!batch.sample_ids.empty() && static_cast<std::int64_t>(batch.sample_ids.size()) != rows) {
    return std::to_string(batch.sample_ids.size()) + " sample ids for " + std::to_string(rows) +
           " rows";
  }
  return "";
}

}  // namespace

Probe::Probe(std::shared_ptr<Sender> sender, std::string name)
    : sender_(std::move(sender)), name_(std::move(name)) {}

void Probe::Log(const float* data, std::int64_t rows, std::int64_t dim, std::int64_t step,
                const BatchOptions& batch) {
  Log(data, rows, dim, step, DType::kF32, batch);
}

void Probe::Log(const double* data, std::int64_t rows, std::int64_t dim, std::int64_t step,
                const BatchOptions& batch) {
  Log(data, rows, dim, step, DType::kF64, batch);
}

void Probe::Log(const void* data, std::int64_t rows, std::int64_t dim, std::int64_t step,
                DType dtype, const BatchOptions& batch) try {
  const std::string why = WhyInvalid(rows, dim, batch);
  if (!why.empty()) {
    sender_->Refuse(name_, step, std::max<std::int64_t>(rows, 0), why);
    return;
  }
  v1::IngestRequest item;
  v1::SampleBatch& samples = *item.mutable_samples();
  samples.set_probe(name_);
  samples.set_step(step);
  samples.set_rank(batch.rank);
  samples.set_dtype(static_cast<v1::DType>(dtype));
  samples.set_rows(static_cast<std::int32_t>(rows));
  samples.set_dim(static_cast<std::int32_t>(dim));
  samples.mutable_sample_ids()->Add(batch.sample_ids.begin(), batch.sample_ids.end());
  samples.set_snapshot_end(batch.snapshot_end);
  sender_->LogSamples(std::move(item), data, rows * dim * SizeOf(dtype));
} catch (const std::exception&) {
  sender_->Lose(rows, 0);
}

Run::Run(std::shared_ptr<Sender> sender) : sender_(std::move(sender)) {}

Run Run::Start(RunOptions options) {
  client_internal::Endpoint endpoint =
      client_internal::WithEnvironment({options.server, options.token, options.tls.roots,
                                        options.tls.client_certificate, options.tls.client_key});
  return Run(std::make_shared<Sender>(std::move(endpoint), ToProto(options), options.queue_bytes,
                                      std::move(options.on_warning)));
}

Run::Run(Run&&) noexcept = default;

Run& Run::operator=(Run&& other) noexcept {
  if (this != &other) {
    Abandon();
    sender_ = std::move(other.sender_);
  }
  return *this;
}

Run::~Run() { Abandon(); }

void Run::Abandon() {
  if (sender_ == nullptr) return;
  if (sender_->InForkedChild()) {
    // The thread and gRPC's are the parent's: nothing here can be torn down.
    new std::shared_ptr<Sender>(std::move(sender_));
    return;
  }
  sender_->Close();
}

const std::string& Run::run_id() const { return sender_->run_id(); }

Probe Run::AddProbe(ProbeOptions options) {
  std::string name = options.name;
  sender_->Declare(ToProto(std::move(options)));
  return Probe(sender_, std::move(name));
}

void Run::Log(const std::map<std::string, double>& values, std::int64_t step) try {
  v1::IngestRequest item;
  item.mutable_scalars()->set_step(step);
  item.mutable_scalars()->mutable_values()->insert(values.begin(), values.end());
  sender_->LogScalars(std::move(item));
} catch (const std::exception&) {
  sender_->Lose(0, 1);
}

bool Run::ShouldStop() const { return sender_->should_stop(); }
Decision Run::decision() const { return sender_->decision(); }
RunStats Run::stats() const { return sender_->stats(); }

bool Run::Finish(std::chrono::milliseconds timeout, bool failed) {
  return sender_->Finish(timeout, failed);
}

}  // namespace client_v1
}  // namespace dimwatch
