#include "client/cli/connection.h"

#include <cstdlib>
#include <utility>

namespace dimwatch::cli {
namespace {

constexpr std::chrono::seconds kDeadline{30};

}  // namespace

void AddServerOption(CLI::App& command, std::string& server) {
  server = "127.0.0.1:50051";
  command.add_option("--server", server, "host:port")
      ->envname("DIMWATCH_SERVER")
      ->capture_default_str();
}

Server::Server(std::string server_address) : address(std::move(server_address)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // a page of estimates may exceed gRPC's 4 MiB
  channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  runs = v1::RunService::NewStub(channel);
  query = v1::QueryService::NewStub(channel);
  ingest = v1::IngestService::NewStub(channel);
}

absl::Status Server::ToStatus(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError("no answer from a server at " + address + ": " +
                                  status.error_message());
  }
  if (code == absl::StatusCode::kDeadlineExceeded) {
    return absl::DeadlineExceededError("the server at " + address + " took too long to answer");
  }
  return absl::Status(code, status.error_message());
}

void Prepare(grpc::ClientContext& context, const std::string& run_id) {
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  if (!run_id.empty()) context.AddMetadata("dimwatch-run", run_id);
}

}  // namespace dimwatch::cli
