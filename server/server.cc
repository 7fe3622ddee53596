#include "server/server.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/acceptor.h"
#include "server/admin_service.h"
#include "server/connection_guard.h"
#include "server/data_folder.h"
#include "server/engine_costs.h"
#include "server/estimator_service.h"
#include "server/http_server.h"
#include "server/ingest_service.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/machine.h"
#include "server/query_service.h"
#include "server/request_id.h"
#include "server/rpc_counter.h"
#include "server/run_service.h"
#include "server/stoppable.h"
#include "server/tls.h"
#include "src/access/token_file.h"
#include "src/store/sqlite_store.h"

namespace dimwatch::server {

// In the order in which they are built; each uses those above it.
struct Server::Parts {
  const Clock* clock;
  std::unique_ptr<DataFolder> folder;
  std::unique_ptr<Store> store;
  std::unique_ptr<ThreadPool> pool;  // computes
  ServerMetrics metrics;
  std::unique_ptr<Monitor> monitor;
  std::string tokens;  // the file; empty: none are used
  std::optional<Access> access;
  OpenStreams streams;
  std::unique_ptr<ThreadPool> handlers;  // serves requests
  std::optional<RunHandlers> runs;
  std::optional<QueryHandlers> queries;
  std::optional<MetricsPage> page;
  std::optional<HttpApi> api;
  std::optional<RunService> run_service;
  std::optional<IngestService> ingest_service;
  std::optional<QueryService> query_service;
  std::optional<EstimatorService> estimator_service;
  std::optional<AdminService> admin_service;
  std::unique_ptr<Tls> tls;  // null: plain text
  std::unique_ptr<grpc::Server> grpc;
  Address grpc_address;
  std::unique_ptr<Acceptor> acceptor;
  std::optional<ConnectionGuard> guard;
  std::unique_ptr<HttpServer> http;
};

namespace {

int ThreadsOf(const Config& config) {
  if (config.threads > 0) return config.threads;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const DataFolder& folder, ServerMetrics& metrics) {
  SqliteStore::Recovery recovery;
  absl::StatusOr<std::unique_ptr<SqliteStore>> store =
      SqliteStore::Open(folder.database(), &recovery);
  if (!store.ok()) return store.status();
  metrics.SetStoreWasDamaged(!recovery.message.empty());
  if (!recovery.message.empty()) {
    Log(LogLevel::kError, "the store was damaged",
        {{"problem", recovery.message},
         {"set_aside", recovery.set_aside.string()},
         {"rescued_runs", recovery.rescued_runs},
         {"damaged_runs", recovery.damaged_runs}});
  }
  return *std::move(store);
}

EngineCosts CostsOf(const DataFolder& folder) {
  const auto [costs, measured] = LoadOrMeasure(folder.engine_costs(), ThreadClock());
  Log(LogLevel::kInfo, "engine costs",
      {{"source", measured ? "measured" : "engine-costs.json"},
       {"exact_pair_ns", costs.exact_pair},
       {"exact_component_ns", costs.exact_component},
       {"graph_row_ns", costs.graph_row},
       {"graph_component_ns", costs.graph_component}});
  return costs;
}

MonitorOptions OptionsOf(const Config& config, const DataFolder& folder, const EngineCosts& costs) {
  MonitorOptions options;
  options.log_folder = folder.logs();
  options.run_limits.max_probes = config.max_probes;
  options.run_limits.max_batch_bytes = config.max_batch_bytes;
  options.run_limits.max_window_bytes = config.max_window_bytes;
  options.engine_costs = costs;
  options.max_runs = config.max_runs;
  options.max_queued_bytes_per_run = config.max_queue_bytes;
  options.hard_memory_bytes =
      config.max_memory_bytes > 0 ? config.max_memory_bytes : MachineBytes() / 2;
  options.soft_memory_bytes =
      config.soft_memory_bytes > 0 ? config.soft_memory_bytes : options.hard_memory_bytes / 4 * 3;
  return options;
}

// Said once, so that nobody has to guess what keeps others out.
void LogSecurity(const Config& config) {
  const bool open = config.tokens.empty() || config.tls.certificate.empty();
  Log(config.insecure_allow_remote && open ? LogLevel::kWarning : LogLevel::kInfo, "security",
      {{"tokens", config.tokens.empty() ? "not used" : config.tokens},
       {"tls", config.tls.certificate.empty()    ? "off"
               : config.tls.client_roots.empty() ? "on"
                                                 : "mutual"},
       {"remote_allowed", config.insecure_allow_remote ? "yes" : "no"}});
}

void LogDamagedRuns(Monitor& monitor) {
  for (const std::shared_ptr<const RunView>& view : monitor.ListRuns({})) {
    if (view->run.damage.empty()) continue;
    Log(LogLevel::kError, "a run is damaged and read-only",
        {{"run", view->run.run_id}, {"problem", view->run.damage}});
  }
}

void SetLimits(const Config& config, grpc::ServerBuilder& builder) {
  const auto message_bytes = static_cast<int>(
      std::min<std::int64_t>(config.max_batch_bytes + kMessageSlackBytes, INT32_MAX));
  builder.SetMaxReceiveMessageSize(message_bytes);
  // Of all connections: what was received and waits for the rest of its message, before a token is
  // looked at. Streams that hold most are ended first, and windows shrink before that.
  grpc::ResourceQuota quota("connections");
  quota.Resize(kMaxTransportBytes);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  // Clients that vanished are found out within a minute and a half; pings of clients are welcome.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
}

void SetHealth(grpc::Server& server, bool serving) {
  grpc::HealthCheckServiceInterface* health = server.GetHealthCheckService();
  for (const char* service :
       {"dimwatch.v1.RunService", "dimwatch.v1.IngestService", "dimwatch.v1.QueryService",
        "dimwatch.v1.EstimatorService", "dimwatch.v1.AdminService"}) {
    health->SetServingStatus(service, serving);
  }
  health->SetServingStatus(serving);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config, const Clock& clock) {
  auto parts = std::make_unique<Parts>();
  Parts& p = *parts;
  p.clock = &clock;
  const int threads = ThreadsOf(config);

  absl::StatusOr<std::unique_ptr<DataFolder>> folder = DataFolder::Lock(config.data_dir);
  if (!folder.ok()) return folder.status();
  p.folder = *std::move(folder);
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(*p.folder, p.metrics);
  if (!store.ok()) return store.status();
  p.store = *std::move(store);
  p.pool = std::make_unique<ThreadPool>(threads, p.clock);
  const EngineCosts costs = CostsOf(*p.folder);
  p.metrics.SetEngineCosts(costs);
  const MonitorOptions options = OptionsOf(config, *p.folder, costs);
  p.metrics.SetMemoryLimits(options.soft_memory_bytes, options.hard_memory_bytes);
  absl::StatusOr<std::unique_ptr<Monitor>> monitor =
      Monitor::Start(options, *p.store, *p.pool, clock,
                     [&p](const EstimateTiming& timing) { p.metrics.ObserveEstimate(timing); });
  if (!monitor.ok()) return monitor.status();
  p.monitor = *std::move(monitor);
  LogDamagedRuns(*p.monitor);
  LogSecurity(config);

  p.tokens = config.tokens;
  p.access.emplace(clock, [&monitor = *p.monitor](const std::string& run_id) {
    const auto view = monitor.GetRun(run_id);
    return view.ok() ? std::optional((*view)->run.project) : std::nullopt;
  });
  p.handlers = std::make_unique<ThreadPool>(kHandlerThreads);
  p.runs.emplace(*p.monitor);
  p.queries.emplace(*p.monitor, *p.store,
                    ServerFacts{clock.Now(), threads, config.max_batch_bytes, config.max_runs});
  p.page.emplace(*p.monitor, p.metrics, config.max_series);
  p.api.emplace(*p.runs, *p.queries, *p.page, *p.access);
  const UnaryContext unary = {*p.handlers, *p.access};
  p.run_service.emplace(*p.runs, unary);
  p.ingest_service.emplace(IngestContext{*p.monitor, *p.handlers, p.metrics, clock,
                                         config.max_batch_bytes, *p.access, p.streams});
  p.query_service.emplace(*p.queries, *p.monitor, unary, p.streams);
  p.admin_service.emplace(unary);
  p.estimator_service.emplace(*p.handlers, *p.pool, *p.monitor, p.metrics, clock, costs, *p.access,
                              p.streams);
  std::unique_ptr<Server> server(new Server(std::move(parts)));
  server->SetProjects(config);
  if (absl::StatusOr<std::size_t> tokens = server->ReadTokensAgain(); !tokens.ok()) {
    return tokens.status();
  }
  if (absl::Status status = server->Listen(config); !status.ok()) return status;
  return server;
}

absl::Status Server::Listen(const Config& config) {
  Parts& p = *parts_;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(config, builder);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<RequestIds>());
  interceptors.push_back(std::make_unique<RpcCounter>(p.metrics));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.RegisterService(&*p.run_service);
  builder.RegisterService(&*p.ingest_service);
  builder.RegisterService(&*p.query_service);
  builder.RegisterService(&*p.estimator_service);
  builder.RegisterService(&*p.admin_service);
  const absl::StatusOr<Address> listen = ParseAddress("--listen", config.listen);
  const absl::StatusOr<Address> http = ParseAddress("--http", config.http);
  if (!listen.ok()) return listen.status();
  if (!http.ok()) return http.status();
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (!config.tls.certificate.empty()) {
    absl::StatusOr<std::unique_ptr<Tls>> tls = Tls::Open(config.tls, p.clock->Now());
    if (!tls.ok()) return tls.status();
    p.tls = *std::move(tls);
    p.metrics.SetCertificateExpiry(p.tls->expire_time());
    credentials = p.tls->Credentials();
  }
  absl::StatusOr<std::unique_ptr<Acceptor>> acceptor =
      Acceptor::Listen(*listen, MostDescriptorsOfConnections());
  if (!acceptor.ok()) return acceptor.status();
  p.acceptor = *std::move(acceptor);
  p.grpc_address = p.acceptor->address();
  auto connections = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  p.grpc = builder.BuildAndStart();
  if (p.grpc == nullptr) return absl::InternalError("gRPC did not start");
  p.acceptor->Start(std::move(connections));
  p.guard.emplace(p.metrics);
  absl::StatusOr<std::unique_ptr<HttpServer>> started = HttpServer::Start(*http, *p.api, p.metrics);
  if (!started.ok()) return started.status();
  p.http = *std::move(started);
  SetHealth(*p.grpc, true);
  p.api->SetReady(true);
  return absl::OkStatus();
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Stop(); }

Address Server::grpc_address() const { return parts_->grpc_address; }

Address Server::http_address() const { return parts_->http->address(); }

void Server::SetProjects(const Config& config) {
  parts_->runs->SetProjects(config.projects.defaults);
  parts_->monitor->SetRetention({RetentionOf(config.retention_days), config.projects.retention});
  parts_->monitor->SetQuotas(config.projects.quotas);
}

absl::StatusOr<std::size_t> Server::ReadTokensAgain() {
  Parts& p = *parts_;
  if (p.tokens.empty()) return 0;
  absl::StatusOr<std::vector<Token>> tokens = ReadTokens(p.tokens);
  if (!tokens.ok()) return tokens.status();
  const std::size_t count = tokens->size();
  p.metrics.SetTokens(*tokens);
  p.access->SetTokens(*std::move(tokens));
  p.streams.Recheck(*p.access);
  return count;
}

void Server::ReloadSecrets() {
  Parts& p = *parts_;
  if (!p.tokens.empty()) {
    const absl::StatusOr<std::size_t> tokens = ReadTokensAgain();
    Log(tokens.ok() ? LogLevel::kInfo : LogLevel::kError, "tokens read again",
        {{"tokens", tokens.value_or(0)}, {"result", tokens.status().ToString()}});
  }
  if (p.tls != nullptr) {
    const absl::Status status = p.tls->Reload(p.clock->Now());
    p.metrics.SetCertificateExpiry(p.tls->expire_time());
    Log(status.ok() ? LogLevel::kInfo : LogLevel::kError, "certificates read again",
        {{"expires",
          absl::FormatTime(absl::RFC3339_sec, p.tls->expire_time(), absl::UTCTimeZone())},
         {"result", status.ToString()}});
  }
}

void Server::Tick() {
  for (const std::shared_ptr<const RunView>& view : parts_->monitor->Tick()) {
    Log(LogLevel::kInfo, "a run was older than its retention and is deleted",
        {{"run", view->run.run_id},
         {"project", view->run.project},
         {"ended", absl::FormatTime(*view->run.end_time, absl::UTCTimeZone())}});
  }
  parts_->streams.Recheck(*parts_->access);
}

void Server::Stop() {
  if (parts_ == nullptr) return;
  Parts& p = *parts_;
  p.api->SetReady(false);
  if (p.grpc != nullptr) SetHealth(*p.grpc, false);
  p.streams.StopAll();
  p.monitor->Drain();
  p.acceptor.reset();
  p.guard.reset();
  if (p.grpc != nullptr) p.grpc->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  p.grpc.reset();
  p.http.reset();
  // Both pools finish what the services have handed them before the services go.
  p.handlers.reset();
  p.monitor.reset();
  p.pool.reset();
  parts_.reset();
}

}  // namespace dimwatch::server
