// Lets a unary RPC in, and runs its handler off gRPC's threads.
#pragma once

#include <exception>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/access.h"
#include "server/errors.h"
#include "server/log.h"
#include "src/base/thread_pool.h"

namespace dimwatch::server {

// What every unary RPC needs; both outlive it.
struct UnaryContext {
  ThreadPool& handlers;
  const Access& access;
};

// Where the request is allowed, calls `handler` (void(const Principal&, std::function<void(const
// absl::Status&)> done)) on a handler's thread, and finishes the RPC with what `done` is told.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnaryUntilDone(grpc::CallbackServerContext* grpc_context,
                                            const UnaryContext& context,
                                            const google::protobuf::Message& request,
                                            Handler handler) {
  grpc::ServerUnaryReactor* reactor = grpc_context->DefaultReactor();
  absl::StatusOr<Principal> principal = context.access.Authenticate(*grpc_context);
  if (!principal.ok()) {
    reactor->Finish(ToGrpcStatus(principal.status()));
    return reactor;
  }
  const auto run = [reactor, &request, &access = context.access, principal = *std::move(principal),
                    handler = std::move(handler)] {
    const absl::Status allowed = access.Authorize(principal, request);
    if (!allowed.ok()) {
      reactor->Finish(ToGrpcStatus(allowed));
      return;
    }
    handler(principal,
            [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
  };
  context.handlers.Submit([reactor, run = std::move(run)] {
    try {
      run();
    } catch (const std::exception& error) {
      Log(LogLevel::kError, "a handler failed", {{"error", error.what()}});
      reactor->Finish({grpc::StatusCode::INTERNAL, "the server failed; its log says more"});
    }
  });
  return reactor;
}

// The same for a handler (absl::Status(const Principal&)) that is done when it returns.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* grpc_context,
                                   const UnaryContext& context,
                                   const google::protobuf::Message& request, Handler handler) {
  return RunUnaryUntilDone(
      grpc_context, context, request,
      [handler = std::move(handler)](const Principal& principal, const auto& done) {
        done(handler(principal));
      });
}

}  // namespace dimwatch::server
