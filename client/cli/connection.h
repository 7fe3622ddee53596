// The way to a server: its address, its services, its errors and its pages.
#pragma once

#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cpp/endpoint.h"
#include "dimwatch/v1/ingest.grpc.pb.h"
#include "dimwatch/v1/query.grpc.pb.h"
#include "dimwatch/v1/run.grpc.pb.h"

namespace dimwatch::cli {

// Adds --server and what else leads to one to `command`; their defaults come from the environment.
// A token is no option: command lines are seen by everybody on a machine.
using ServerOptions = client_internal::Endpoint;
void AddServerOptions(CLI::App& command, ServerOptions& options);

struct Server {
  ServerOptions endpoint;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::RunService::Stub> runs;
  std::unique_ptr<v1::QueryService::Stub> query;
  std::unique_ptr<v1::IngestService::Stub> ingest;

  // Says who asks and, where a request concerns one run, by which key a load balancer routes it.
  void Introduce(grpc::ClientContext& context, const std::string& run_id) const;

  // OK, or what the server (or the network) said, with the address.
  absl::Status ToStatus(const grpc::Status& status) const;
};

// Without waiting for an answer. INVALID_ARGUMENT for certificates that cannot be read.
absl::StatusOr<Server> Connect(const ServerOptions& options);

inline constexpr std::chrono::seconds kCallTimeout{30};

// One request and its response.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Server& server, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request, const std::string& run_id) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  server.Introduce(context, run_id);
  Response response;
  const absl::Status status = server.ToStatus((stub.*method)(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

// Everything that a paged method of QueryService knows about a run; `field` is the repeated field
// of its response.
template <typename Request, typename Response, typename Element>
absl::StatusOr<std::vector<Element>> ListAll(
    const Server& server,
    grpc::Status (v1::QueryService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const google::protobuf::RepeatedPtrField<Element>& (Response::*field)() const,
    const std::string& run_id) {
  Request request;
  request.set_run_id(run_id);
  request.set_page_size(10'000);
  std::vector<Element> all;
  do {
    const absl::StatusOr<Response> response = Call(server, *server.query, method, request, run_id);
    if (!response.ok()) return response.status();
    const auto& page = ((*response).*field)();
    all.insert(all.end(), page.begin(), page.end());
    request.set_page_token(response->next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace dimwatch::cli
