// Lets a unary RPC in, and runs its handler off gRPC's threads.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/access.h"
#include "server/errors.h"
#include "server/request_id.h"
#include "src/base/thread_pool.h"

namespace dimwatch::server {

// What every unary RPC needs; both outlive it.
struct UnaryContext {
  ThreadPool& handlers;
  const Access& access;
};

// Ends a unary RPC, and says so in the log. Copies are of the same RPC; one of them ends it.
class UnaryEnd {
 public:
  UnaryEnd(grpc::ServerUnaryReactor& reactor, const grpc::CallbackServerContext& context,
           const google::protobuf::Message& request);
  void Finish(const Principal& principal, const absl::Status& status) const;
  // By a bug of ours, which the caller is not told.
  void Fail(const Principal& principal, const std::exception& error) const;

 private:
  grpc::ServerUnaryReactor& reactor_;
  const google::protobuf::Message& request_;
  std::string request_id_;
};

// Where the request is allowed, calls `handler` (void(const Principal&, std::function<void(const
// absl::Status&)> done)) on a handler's thread, and finishes the RPC with what `done` is told.
template <typename Handler>
grpc::ServerUnaryReactor* RunUnaryUntilDone(grpc::CallbackServerContext* grpc_context,
                                            const UnaryContext& context,
                                            const google::protobuf::Message& request,
                                            Handler handler) {
  grpc::ServerUnaryReactor* reactor = grpc_context->DefaultReactor();
  const UnaryEnd end(*reactor, *grpc_context, request);
  absl::StatusOr<Principal> caller = context.access.Authenticate(*grpc_context);
  if (!caller.ok()) {
    end.Finish(Principal(), caller.status());
    return reactor;
  }
  context.handlers.Submit([end, grpc_context, &request, &access = context.access,
                           principal = *std::move(caller), handler = std::move(handler)] {
    // Requests that are sent to be cancelled (CVE-2023-44487) cost no more than their turn.
    if (grpc_context->IsCancelled()) {
      return end.Finish(principal, absl::CancelledError("the client is gone"));
    }
    try {
      const absl::Status allowed = access.Authorize(principal, request);
      if (!allowed.ok()) return end.Finish(principal, allowed);
      handler(principal,
              [end, principal](const absl::Status& status) { end.Finish(principal, status); });
    } catch (const std::exception& error) {
      end.Fail(principal, error);
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
