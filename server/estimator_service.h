// EstimatorService over gRPC.
#pragma once

#include <atomic>

#include "dimwatch/v1/estimator.grpc.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/metrics.h"
#include "server/stoppable.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/lid/neighbor_search.h"

namespace dimwatch::server {

// What every call needs; all outlive it.
struct EstimatorContext {
  ThreadPool& handlers;  // receives
  ThreadPool& pool;      // computes
  ServerMetrics& metrics;
  const Clock& clock;
  EngineOptions engines;
  const Access& access;
  OpenStreams& open;
  std::atomic<int> in_flight = 0;  // clouds being received or estimated
};

// Thread-safe. Parses messages itself, for the reason given in ingest_service.h.
class EstimatorService final : public v1::EstimatorService::WithRawCallbackMethod_EstimateCloud<
                                   v1::EstimatorService::Service> {
 public:
  EstimatorService(ThreadPool& handlers, ThreadPool& pool, ServerMetrics& metrics,
                   const Clock& clock, const EngineCosts& costs, const Access& access,
                   OpenStreams& open)
      : context_{handlers, pool, metrics, clock, {.costs = costs, .make_index = nullptr},
                 access,   open} {}

  grpc::ServerReadReactor<grpc::ByteBuffer>* EstimateCloud(grpc::CallbackServerContext* context,
                                                           grpc::ByteBuffer* response) override;

 private:
  EstimatorContext context_;
};

}  // namespace dimwatch::server
