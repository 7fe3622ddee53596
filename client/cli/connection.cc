#include "client/cli/connection.h"

#include <fstream>

namespace dimwatch::cli {
namespace {

// The first line of a file; what cannot be read is an error of the command line.
std::string ReadToken(const std::string& file) {
  std::ifstream in(file);
  std::string token;
  if (!std::getline(in, token) || token.empty()) {
    throw CLI::ValidationError("--token-file", "no token can be read from '" + file + "'");
  }
  return token;
}

}  // namespace

void AddServerOptions(CLI::App& command, ServerOptions& options) {
  options = client_internal::WithEnvironment({});
  command.add_option("--server", options.server, "host:port, or https://host:port")
      ->capture_default_str();
  command.add_option_function<std::string>(
      "--token-file", [&options](const std::string& file) { options.token = ReadToken(file); },
      "file with the token to show; default: $DIMWATCH_TOKEN");
  command.add_option("--tls-roots", options.tls_roots,
                     "PEM file: who may have signed the server's certificate");
  command.add_option("--tls-client-certificate", options.tls_client_certificate,
                     "PEM file, for a server that wants to know its clients");
  command.add_option("--tls-client-key", options.tls_client_key, "PEM file: its key");
}

absl::StatusOr<Server> Connect(const ServerOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // a page of estimates may exceed gRPC's 4 MiB
  std::string problem;
  Server server;
  server.endpoint = options;
  server.channel = client_internal::OpenChannel(options, arguments, problem);
  if (server.channel == nullptr) return absl::InvalidArgumentError(problem);
  server.runs = v1::RunService::NewStub(server.channel);
  server.query = v1::QueryService::NewStub(server.channel);
  server.ingest = v1::IngestService::NewStub(server.channel);
  return server;
}

void Server::Introduce(grpc::ClientContext& context, const std::string& run_id) const {
  client_internal::ShowToken(endpoint, context);
  if (!run_id.empty()) context.AddMetadata("dimwatch-run", run_id);
}

absl::Status Server::ToStatus(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError("no answer from a server at " + endpoint.server + ": " +
                                  status.error_message());
  }
  if (code == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError("the server at " + endpoint.server +
                                       " took too long to answer");
  }
  return absl::Status(code, status.error_message());
}

}  // namespace dimwatch::cli
