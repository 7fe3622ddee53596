// Ids of requests, which tie an answer to the lines about it in the log.
//
// Every RPC and every HTTP request has one: the caller's own, if it sends exactly one
// `x-request-id` of 1 to 64 letters, digits, or characters of "._:-", otherwise one that is made
// here. It goes back as initial metadata, or header, of the same name.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/access.h"

namespace dimwatch::server {

inline constexpr char kRequestIdKey[] = "x-request-id";

// `sent` if it may be an id, otherwise a new one: unique, but no secret. Thread-safe.
std::string RequestIdFrom(absl::string_view sent);

// The id of an RPC, on the handler's side.
std::string RequestIdOf(const grpc::ServerContextBase& context);

// The line about an RPC that ended with `status`: of the level debug, or error where it is our
// fault. `request` is of a type of the contract, and gives the names of RPC, runs and projects.
void LogHandled(absl::string_view request_id, const Principal& principal,
                const google::protobuf::Message& request, const absl::Status& status);

// Settles the id of each RPC before its handler sees it, and sends it back. Thread-safe.
class RequestIds final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;
};

}  // namespace dimwatch::server
