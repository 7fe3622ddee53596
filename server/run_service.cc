#include "server/run_service.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/log.h"
#include "server/unary.h"

namespace dimwatch::server {

grpc::ServerUnaryReactor* RunService::CreateRun(grpc::CallbackServerContext* context,
                                                const v1::CreateRunRequest* request,
                                                v1::CreateRunResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal& principal) {
    const absl::Status status = run_handlers_.CreateRun(*request, *response);
    if (status.ok() && response->created()) {
      Log(LogLevel::kInfo, "run created",
          {{"run", request->run().run_id()},
           {"project", request->run().project()},
           {"request", RequestIdOf(*context)},
           {"token", principal.name()}});
    }
    return status;
  });
}

grpc::ServerUnaryReactor* RunService::GetRun(grpc::CallbackServerContext* context,
                                             const v1::GetRunRequest* request,
                                             v1::GetRunResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal&) {
    return run_handlers_.GetRun(*request, *response);
  });
}

grpc::ServerUnaryReactor* RunService::ListRuns(grpc::CallbackServerContext* context,
                                               const v1::ListRunsRequest* request,
                                               v1::ListRunsResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal& principal) {
    return run_handlers_.ListRuns(principal, *request, *response);
  });
}

grpc::ServerUnaryReactor* RunService::UpdateRun(grpc::CallbackServerContext* context,
                                                const v1::UpdateRunRequest* request,
                                                v1::UpdateRunResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal& principal) {
    const std::string author =
        principal.token() == nullptr
            ? context->peer()
            : absl::StrCat("token ", principal.name(), " at ", context->peer());
    const absl::Status status = run_handlers_.UpdateRun(*request, author, *response);
    if (status.ok()) {
      Log(LogLevel::kInfo, "run changed",
          {{"run", request->run().run_id()},
           {"project", response->run().project()},
           {"fields", absl::StrJoin(request->update_mask().paths(), ",")},
           {"request", RequestIdOf(*context)},
           {"token", principal.name()}});
    }
    return status;
  });
}

grpc::ServerUnaryReactor* RunService::FinishRun(grpc::CallbackServerContext* context,
                                                const v1::FinishRunRequest* request,
                                                v1::FinishRunResponse* response) {
  return RunUnaryUntilDone(
      context, unary_, *request, [=, this](const Principal& principal, const auto& done) {
        run_handlers_.FinishRun(*request, *response, [=](const absl::Status& status) {
          if (status.ok()) {
            Log(LogLevel::kInfo, "run finished",
                {{"run", request->run_id()},
                 {"project", response->run().project()},
                 {"request", RequestIdOf(*context)},
                 {"token", principal.name()}});
          }
          done(status);
        });
      });
}

grpc::ServerUnaryReactor* RunService::DeleteRun(grpc::CallbackServerContext* context,
                                                const v1::DeleteRunRequest* request,
                                                v1::DeleteRunResponse* response) {
  return RunUnary(context, unary_, *request, [=, this](const Principal& principal) {
    const std::string project = unary_.access.ProjectOf(request->run_id()).value_or("");
    const absl::Status status = run_handlers_.DeleteRun(*request, *response);
    if (status.ok()) {
      Log(LogLevel::kInfo, "run deleted",
          {{"run", request->run_id()},
           {"project", project},
           {"request", RequestIdOf(*context)},
           {"token", principal.name()}});
    }
    return status;
  });
}

}  // namespace dimwatch::server
