// Runs the handler of a unary RPC off gRPC's threads.
#pragma once

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/errors.h"
#include "server/log.h"
#include "src/base/thread_pool.h"

namespace dimwatch::server {

// Calls `handler` (an absl::Status()) on `handlers`, and finishes the RPC with what it returns.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* context, ThreadPool& handlers,
                                   Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  handlers.Submit([reactor, handler = std::move(handler)]() mutable {
    try {
      reactor->Finish(ToGrpcStatus(handler()));
    } catch (const std::exception& error) {
      Log(LogLevel::kError, "a handler failed", {{"error", error.what()}});
      reactor->Finish({grpc::StatusCode::INTERNAL, "the server failed; its log says more"});
    }
  });
  return reactor;
}

}  // namespace dimwatch::server
