#include "server/query_service.h"

#include "server/watch_call.h"

namespace dimwatch::server {

grpc::ServerUnaryReactor* QueryService::ListEstimates(grpc::CallbackServerContext* context,
                                                      const v1::ListEstimatesRequest* request,
                                                      v1::ListEstimatesResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.ListEstimates(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::ListAttentionEstimates(
    grpc::CallbackServerContext* context, const v1::ListAttentionEstimatesRequest* request,
    v1::ListAttentionEstimatesResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.ListAttentionEstimates(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::ListScalars(grpc::CallbackServerContext* context,
                                                    const v1::ListScalarsRequest* request,
                                                    v1::ListScalarsResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.ListScalars(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::ListSignals(grpc::CallbackServerContext* context,
                                                    const v1::ListSignalsRequest* request,
                                                    v1::ListSignalsResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.ListSignals(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::ListDecisions(grpc::CallbackServerContext* context,
                                                      const v1::ListDecisionsRequest* request,
                                                      v1::ListDecisionsResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.ListDecisions(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::ListSettingsChanges(
    grpc::CallbackServerContext* context, const v1::ListSettingsChangesRequest* request,
    v1::ListSettingsChangesResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.ListSettingsChanges(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::GetDecision(grpc::CallbackServerContext* context,
                                                    const v1::GetDecisionRequest* request,
                                                    v1::GetDecisionResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.GetDecision(*request, *response);
  });
}

grpc::ServerWriteReactor<v1::WatchRunResponse>* QueryService::WatchRun(
    grpc::CallbackServerContext* context, const v1::WatchRunRequest* request) {
  return WatchCall::Start(*context, *request,
                          {query_handlers_, monitor_, unary_.handlers, unary_.access, open_});
}

grpc::ServerUnaryReactor* QueryService::CompareRuns(grpc::CallbackServerContext* context,
                                                    const v1::CompareRunsRequest* request,
                                                    v1::CompareRunsResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.CompareRuns(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::GetLayerProfile(grpc::CallbackServerContext* context,
                                                        const v1::GetLayerProfileRequest* request,
                                                        v1::GetLayerProfileResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.GetLayerProfile(*request, *response);
  });
}

grpc::ServerUnaryReactor* QueryService::GetServerInfo(grpc::CallbackServerContext* context,
                                                      const v1::GetServerInfoRequest* request,
                                                      v1::GetServerInfoResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return query_handlers_.GetServerInfo(*request, *response);
  });
}

}  // namespace dimwatch::server
