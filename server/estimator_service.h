// EstimatorService over gRPC.
#pragma once

#include <array>
#include <mutex>
#include <vector>

#include "dimwatch/v1/estimator.grpc.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/limits.h"
#include "server/metrics.h"
#include "server/stoppable.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/lid/neighbor_search.h"
#include "src/monitor/monitor.h"

namespace dimwatch::server {

// Clouds at a time. Each place has its own share of the pool, whoever takes it, so that clouds
// without a pause do not go before the runs as newcomers. Thread-safe.
class CloudPlaces {
 public:
  CloudPlaces();
  // A free one, until it is given back; null: there is none.
  ThreadPool::Account* Take();
  void GiveBack(ThreadPool::Account* place);

 private:
  std::array<ThreadPool::Account, kMaxCloudsInFlight> places_;
  std::mutex mutex_;
  std::vector<ThreadPool::Account*> free_;  // guarded by mutex_
};

// What every call needs; all outlive it.
struct EstimatorContext {
  ThreadPool& handlers;  // receives
  ThreadPool& pool;      // computes
  Monitor& monitor;      // whose limits hold for clouds too
  ServerMetrics& metrics;
  const Clock& clock;
  EngineOptions engines;
  const Access& access;
  OpenStreams& open;
  CloudPlaces& places;
};

// Thread-safe. Parses messages itself, for the reason given in ingest_service.h.
class EstimatorService final : public v1::EstimatorService::WithRawCallbackMethod_EstimateCloud<
                                   v1::EstimatorService::Service> {
 public:
  EstimatorService(ThreadPool& handlers, ThreadPool& pool, Monitor& monitor, ServerMetrics& metrics,
                   const Clock& clock, const EngineCosts& costs, const Access& access,
                   OpenStreams& open)
      : context_{handlers, pool, monitor, metrics, clock, {.costs = costs, .make_index = nullptr},
                 access,   open, places_} {}

  grpc::ServerReadReactor<grpc::ByteBuffer>* EstimateCloud(grpc::CallbackServerContext* context,
                                                           grpc::ByteBuffer* response) override;

 private:
  CloudPlaces places_;
  EstimatorContext context_;
};

}  // namespace dimwatch::server
