// How a client of ours reaches a server: where it is, how it is known, who asks.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace dimwatch::client_internal {

// Files are PEM. What is empty comes from the environment: DIMWATCH_SERVER, DIMWATCH_TOKEN,
// DIMWATCH_TLS_ROOTS, DIMWATCH_TLS_CLIENT_CERTIFICATE, DIMWATCH_TLS_CLIENT_KEY.
struct Endpoint {
  std::string server;  // "host:port", or "https://host:port"; 127.0.0.1:50051 if not set anywhere
  std::string token;   // empty: none is shown
  std::string tls_roots;
  std::string tls_client_certificate;
  std::string tls_client_key;
};
Endpoint WithEnvironment(Endpoint endpoint);

// A channel to the server, encrypted where there are roots or a client certificate, or the address
// begins with "https://". Null, with `problem` saying why, if a file cannot be read, or the token
// is none that gRPC could send: it would end the process.
std::shared_ptr<grpc::Channel> OpenChannel(const Endpoint& endpoint,
                                           const grpc::ChannelArguments& arguments,
                                           std::string& problem);

// Shows the token, if there is one.
void ShowToken(const Endpoint& endpoint, grpc::ClientContext& context);

}  // namespace dimwatch::client_internal
