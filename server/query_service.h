// QueryService over gRPC.
#pragma once

#include "dimwatch/v1/query.grpc.pb.h"
#include "server/query_handlers.h"
#include "server/stoppable.h"
#include "server/unary.h"

namespace dimwatch::server {

// Thread-safe.
class QueryService final : public v1::QueryService::CallbackService {
 public:
  QueryService(QueryHandlers& query_handlers, Monitor& monitor, UnaryContext unary,
               OpenStreams& open)
      : query_handlers_(query_handlers), monitor_(monitor), unary_(unary), open_(open) {}

  grpc::ServerUnaryReactor* ListEstimates(grpc::CallbackServerContext* context,
                                          const v1::ListEstimatesRequest* request,
                                          v1::ListEstimatesResponse* response) override;
  grpc::ServerUnaryReactor* ListAttentionEstimates(
      grpc::CallbackServerContext* context, const v1::ListAttentionEstimatesRequest* request,
      v1::ListAttentionEstimatesResponse* response) override;
  grpc::ServerUnaryReactor* ListScalars(grpc::CallbackServerContext* context,
                                        const v1::ListScalarsRequest* request,
                                        v1::ListScalarsResponse* response) override;
  grpc::ServerUnaryReactor* ListSignals(grpc::CallbackServerContext* context,
                                        const v1::ListSignalsRequest* request,
                                        v1::ListSignalsResponse* response) override;
  grpc::ServerUnaryReactor* ListDecisions(grpc::CallbackServerContext* context,
                                          const v1::ListDecisionsRequest* request,
                                          v1::ListDecisionsResponse* response) override;
  grpc::ServerUnaryReactor* ListSettingsChanges(grpc::CallbackServerContext* context,
                                                const v1::ListSettingsChangesRequest* request,
                                                v1::ListSettingsChangesResponse* response) override;
  grpc::ServerUnaryReactor* GetDecision(grpc::CallbackServerContext* context,
                                        const v1::GetDecisionRequest* request,
                                        v1::GetDecisionResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchRunResponse>* WatchRun(
      grpc::CallbackServerContext* context, const v1::WatchRunRequest* request) override;
  grpc::ServerUnaryReactor* CompareRuns(grpc::CallbackServerContext* context,
                                        const v1::CompareRunsRequest* request,
                                        v1::CompareRunsResponse* response) override;
  grpc::ServerUnaryReactor* GetLayerProfile(grpc::CallbackServerContext* context,
                                            const v1::GetLayerProfileRequest* request,
                                            v1::GetLayerProfileResponse* response) override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override;

 private:
  QueryHandlers& query_handlers_;
  Monitor& monitor_;
  const UnaryContext unary_;
  OpenStreams& open_;
};

}  // namespace dimwatch::server
