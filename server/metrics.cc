#include "server/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "prometheus/gauge.h"
#include "prometheus/text_serializer.h"
#include "server/log.h"
#include "server/version.h"

namespace dimwatch::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Estimates take from a millisecond (a few hundred points) to minutes (10^5 points).
const prometheus::Histogram::BucketBoundaries kEstimateBuckets = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
// Acknowledging writes to a file; waiting can add anything.
const prometheus::Histogram::BucketBoundaries kWaitBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};

using Labels = std::vector<ClientMetric::Label>;

// The families of the server's own state.
class Writer {
 public:
  void Add(MetricType type, const char* name, const char* help, double value, Labels labels = {}) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({name, help, type, {}});
    }
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  void Gauge(const char* name, const char* help, std::int64_t value, Labels labels = {}) {
    Add(MetricType::Gauge, name, help, static_cast<double>(value), std::move(labels));
  }
  void Counter(const char* name, const char* help, std::int64_t value, Labels labels = {}) {
    Add(MetricType::Counter, name, help, static_cast<double>(value), std::move(labels));
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

// Of the whole process, from the system; 0 if it does not say.
std::int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

void WriteIngest(const MonitorStats& stats, const std::map<std::string, std::int64_t>& rejected,
                 Writer& writer) {
  writer.Counter("dimwatch_ingest_rows_total", "Rows accepted.", stats.rows);
  writer.Counter("dimwatch_ingest_bytes_total", "Bytes of samples accepted.", stats.bytes);
  writer.Counter("dimwatch_ingest_batches_total", "Sample batches accepted.", stats.batches);
  for (const auto& [reason, rows] : rejected) {
    writer.Counter("dimwatch_ingest_rejected_rows_total", "Rows rejected, by reason.", rows,
                   {{"reason", reason}});
  }
}

void WriteState(const MonitorStats& stats, Writer& writer) {
  constexpr const char* kMemory = "dimwatch_memory_bytes";
  constexpr const char* kMemoryHelp =
      "Memory in use: by windows, by queues, by clouds, by the whole process.";
  writer.Gauge("dimwatch_estimate_backlog", "Items queued behind estimates.",
               stats.estimate_backlog);
  writer.Gauge(kMemory, kMemoryHelp, stats.window_bytes, {{"kind", "windows"}});
  writer.Gauge(kMemory, kMemoryHelp, stats.queued_bytes, {{"kind", "queues"}});
  writer.Gauge(kMemory, kMemoryHelp, stats.cloud_bytes, {{"kind", "clouds"}});
  writer.Gauge(kMemory, kMemoryHelp, ResidentBytes(), {{"kind", "process"}});
  writer.Gauge("dimwatch_active_runs", "Runs that have not ended.", stats.active_runs);
  writer.Gauge("dimwatch_active_probes", "Probes of runs that have not ended.",
               stats.active_probes);
  writer.Gauge("dimwatch_damaged_runs", "Runs that are set aside, read-only.", stats.damaged_runs);
  writer.Counter("dimwatch_expired_runs_total", "Runs deleted because of their age.",
                 stats.expired_runs);
  writer.Counter("dimwatch_log_cut_bytes_total",
                 "Bytes cut off logs that ended within a record, or in zeroes, at the start.",
                 stats.cut_log_bytes);
  writer.Counter("dimwatch_subsampled_estimates_total",
                 "Estimates that overload left fewer points to average over.",
                 stats.subsampled_estimates);
  writer.Counter("dimwatch_store_errors_total", "Failed operations of the store.",
                 stats.store_errors);
  writer.Gauge("dimwatch_build_info", "Always 1; what is running is in the labels.", 1,
               {{"version", std::string(Version())},
                {"revision", std::string(Revision())},
                {"compiler", std::string(Compiler())},
                {"grpc", GrpcVersion()}});
}

void WriteTokens(const std::vector<TokenLife>& tokens, const MetricsPage::Visible& visible,
                 Writer& writer) {
  const auto write = [&](const char* name, const char* help, absl::Time TokenLife::*time) {
    for (const TokenLife& token : tokens) {
      if (!visible(token.project)) continue;
      writer.Gauge(name, help, absl::ToUnixSeconds(token.*time),
                   {{"token", token.id}, {"project", token.project}});
    }
  };
  write("dimwatch_token_creation_timestamp_seconds", "When a token that expires was made.",
        &TokenLife::create_time);
  write("dimwatch_token_expiry_timestamp_seconds", "When a token expires.",
        &TokenLife::expire_time);
}

constexpr std::array<const char*, kResources> kResourceNames = {
    "runs", "probes", "queue_bytes", "window_bytes", "cloud_bytes", "disk_bytes"};

void WriteProjects(const MonitorSnapshot& snapshot, const MetricsPage::Visible& visible,
                   Writer& writer) {
  const auto each = [&](const auto& write) {
    for (const auto& [name, stats] : snapshot.projects) {
      if (visible(name)) write(name, stats);
    }
  };
  each([&](const std::string& project, const ProjectStats& stats) {
    for (std::size_t i = 0; i < kResources; ++i) {
      writer.Gauge("dimwatch_project_usage", "What the runs and clouds of a project use.",
                   stats.used[i], {{"project", project}, {"resource", kResourceNames[i]}});
    }
  });
  each([&](const std::string& project, const ProjectStats& stats) {
    const auto limit = [&](const char* resource, double value) {
      if (value == 0) return;
      writer.Add(MetricType::Gauge, "dimwatch_project_quota",
                 "What a project may use; compute: rows x points x dim a minute.", value,
                 {{"project", project}, {"resource", resource}});
    };
    limit("runs", static_cast<double>(stats.quota.max_runs));
    limit("probes", static_cast<double>(stats.quota.max_probes));
    limit("queue_bytes", static_cast<double>(stats.quota.max_queue_bytes));
    limit("disk_bytes", static_cast<double>(stats.quota.max_disk_bytes));
    limit("compute", stats.quota.compute_per_minute);
  });
  each([&](const std::string& project, const ProjectStats& stats) {
    for (const auto& [quota, count] : stats.refusals) {
      writer.Counter("dimwatch_quota_refusals_total", "Runs and items refused, by limit.", count,
                     {{"project", project}, {"quota", quota}});
    }
  });
}

}  // namespace

ServerMetrics::ServerMetrics()
    : estimate_duration_(prometheus::BuildHistogram()
                             .Name("dimwatch_estimate_duration_seconds")
                             .Help("Compute time of an estimate.")
                             .Register(registry_)),
      ack_(prometheus::BuildHistogram()
               .Name("dimwatch_ingest_ack_seconds")
               .Help("From the arrival of an item to its acknowledgement as durable.")
               .Register(registry_)
               .Add({}, kWaitBuckets)),
      estimate_queue_(prometheus::BuildHistogram()
                          .Name("dimwatch_estimate_queue_seconds")
                          .Help("How long a cloud waited before it was estimated.")
                          .Register(registry_)
                          .Add({}, kWaitBuckets)),
      handled_(prometheus::BuildCounter()
                   .Name("dimwatch_grpc_server_handled_total")
                   .Help("RPCs that ended, by method and status code.")
                   .Register(registry_)),
      http_requests_(prometheus::BuildCounter()
                         .Name("dimwatch_http_requests_total")
                         .Help("HTTP requests answered, by path and status code.")
                         .Register(registry_)),
      abusive_connections_(
          prometheus::BuildCounter()
              .Name("dimwatch_abusive_connections_total")
              .Help("gRPC connections closed because they abandoned calls by the thousand.")
              .Register(registry_)
              .Add({})),
      rejected_rows_{{"nonfinite", 0}, {"invalid_argument", 0}} {}

void ServerMetrics::SetEngineCosts(const EngineCosts& costs) {
  auto& family = prometheus::BuildGauge()
                     .Name("dimwatch_engine_cost_seconds")
                     .Help("What engines cost on this machine; index auto decides by it.")
                     .Register(registry_);
  const auto set = [&](const char* index, const char* per, double nanoseconds) {
    family.Add({{"index", index}, {"per", per}}).Set(nanoseconds * 1e-9);
  };
  set("exact", "pair", costs.exact_pair);
  set("exact", "pair_component", costs.exact_component);
  set("hnsw", "row", costs.graph_row);
  set("hnsw", "row_component", costs.graph_component);
}

void ServerMetrics::SetStoreWasDamaged(bool damaged) {
  prometheus::BuildGauge()
      .Name("dimwatch_store_was_damaged")
      .Help("1 if the store was damaged at the start and set aside.")
      .Register(registry_)
      .Add({})
      .Set(damaged ? 1 : 0);
}

void ServerMetrics::SetCertificateExpiry(absl::Time expire_time) {
  prometheus::BuildGauge()
      .Name("dimwatch_tls_certificate_expiry_timestamp_seconds")
      .Help("When the certificate in use expires.")
      .Register(registry_)
      .Add({})
      .Set(static_cast<double>(absl::ToUnixSeconds(expire_time)));
}

void ServerMetrics::SetTokens(const std::vector<Token>& tokens) {
  std::vector<TokenLife> lives;
  for (const Token& token : tokens) {
    if (token.expire_time == absl::InfiniteFuture()) continue;
    for (const std::string& project : token.projects) {
      lives.push_back({token.id, project, token.create_time, token.expire_time});
    }
  }
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(lives);
}

void ServerMetrics::SetMemoryLimits(std::int64_t soft_bytes, std::int64_t hard_bytes) {
  auto& family = prometheus::BuildGauge()
                     .Name("dimwatch_memory_limit_bytes")
                     .Help("Limits of the memory of windows, queues and clouds together.")
                     .Register(registry_);
  family.Add({{"kind", "soft"}}).Set(static_cast<double>(soft_bytes));
  family.Add({{"kind", "hard"}}).Set(static_cast<double>(hard_bytes));
}

void ServerMetrics::ObserveEstimate(const EstimateTiming& timing) {
  estimate_duration_
      .Add({{"estimator", std::string(Name(timing.estimator))},
            {"index", std::string(Name(timing.index))}},
           kEstimateBuckets)
      .Observe(timing.compute_seconds);
  estimate_queue_.Observe(timing.queue_seconds);
}

void ServerMetrics::ObserveAck(double seconds) { ack_.Observe(seconds); }

void ServerMetrics::CountRejectedRows(const std::string& reason, std::int64_t rows) {
  const std::lock_guard lock(mutex_);
  rejected_rows_[reason] += std::max<std::int64_t>(rows, 0);
}

void ServerMetrics::CountHandled(const std::string& method, const std::string& code) {
  handled_.Add({{"grpc_method", method}, {"grpc_code", code}}).Increment();
}

void ServerMetrics::CountHttpRequest(const std::string& route, int status) {
  http_requests_.Add({{"path", route}, {"code", absl::StrCat(status)}}).Increment();
}

void ServerMetrics::CountAbusiveConnection() { abusive_connections_.Increment(); }

std::vector<TokenLife> ServerMetrics::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

std::map<std::string, std::int64_t> ServerMetrics::rejected_rows() const {
  const std::lock_guard lock(mutex_);
  return rejected_rows_;
}

std::vector<MetricFamily> ServerMetrics::Collect() const { return registry_.Collect(); }

std::string MetricsPage::Text(const Visible& visible) const {
  MonitorSnapshot snapshot = monitor_.Snapshot();
  std::erase_if(snapshot.runs, [&](const auto& view) { return !visible(view->run.project); });
  std::map<std::string, std::int64_t> rejected = server_.rejected_rows();
  for (const auto& [reason, rows] : snapshot.stats.rejected_rows) rejected[reason] += rows;
  RunSeries runs = SeriesOf(snapshot, max_series_);
  if (runs.left_out > 0 && !over_limit_.exchange(true)) {
    Log(LogLevel::kWarning, "series left out of /metrics",
        {{"left_out", runs.left_out}, {"max_series", max_series_}});
  }
  Writer writer;
  WriteIngest(snapshot.stats, rejected, writer);
  WriteState(snapshot.stats, writer);
  WriteProjects(snapshot, visible, writer);
  writer.Gauge("dimwatch_series", "Per-run series on this page.", runs.series);
  writer.Gauge("dimwatch_max_series", "Limit of dimwatch_series; series beyond it are left out.",
               max_series_);
  WriteTokens(server_.tokens(), visible, writer);
  const prometheus::TextSerializer serializer;
  return absl::StrCat(runs.text, serializer.prometheus::Serializer::Serialize(writer.Take()),
                      serializer.prometheus::Serializer::Serialize(server_.Collect()));
}

}  // namespace dimwatch::server
