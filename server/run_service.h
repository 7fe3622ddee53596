// RunService over gRPC.
#pragma once

#include "dimwatch/v1/run.grpc.pb.h"
#include "server/run_handlers.h"
#include "server/unary.h"

namespace dimwatch::server {

// Thread-safe.
class RunService final : public v1::RunService::CallbackService {
 public:
  RunService(RunHandlers& run_handlers, UnaryContext unary)
      : run_handlers_(run_handlers), unary_(unary) {}

  grpc::ServerUnaryReactor* CreateRun(grpc::CallbackServerContext* context,
                                      const v1::CreateRunRequest* request,
                                      v1::CreateRunResponse* response) override;
  grpc::ServerUnaryReactor* GetRun(grpc::CallbackServerContext* context,
                                   const v1::GetRunRequest* request,
                                   v1::GetRunResponse* response) override;
  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context,
                                     const v1::ListRunsRequest* request,
                                     v1::ListRunsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateRun(grpc::CallbackServerContext* context,
                                      const v1::UpdateRunRequest* request,
                                      v1::UpdateRunResponse* response) override;
  grpc::ServerUnaryReactor* FinishRun(grpc::CallbackServerContext* context,
                                      const v1::FinishRunRequest* request,
                                      v1::FinishRunResponse* response) override;
  grpc::ServerUnaryReactor* DeleteRun(grpc::CallbackServerContext* context,
                                      const v1::DeleteRunRequest* request,
                                      v1::DeleteRunResponse* response) override;

 private:
  RunHandlers& run_handlers_;
  const UnaryContext unary_;
};

}  // namespace dimwatch::server
