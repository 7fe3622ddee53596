#include "client/cpp/endpoint.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>

namespace dimwatch::client_internal {
namespace {

constexpr std::string_view kHttps = "https://";

void FromEnvironment(const char* name, std::string& value) {
  if (!value.empty()) return;
  if (const char* set = std::getenv(name); set != nullptr) value = set;
}

// Without a file: nothing.
std::string Read(const std::string& file, std::string& problem) {
  if (file.empty()) return "";
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in || text.empty()) problem = "the file '" + file + "' cannot be read or is empty";
  return text;
}

}  // namespace

Endpoint WithEnvironment(Endpoint endpoint) {
  FromEnvironment("DIMWATCH_SERVER", endpoint.server);
  FromEnvironment("DIMWATCH_TOKEN", endpoint.token);
  FromEnvironment("DIMWATCH_TLS_ROOTS", endpoint.tls_roots);
  FromEnvironment("DIMWATCH_TLS_CLIENT_CERTIFICATE", endpoint.tls_client_certificate);
  FromEnvironment("DIMWATCH_TLS_CLIENT_KEY", endpoint.tls_client_key);
  if (endpoint.server.empty()) endpoint.server = "127.0.0.1:50051";
  return endpoint;
}

std::shared_ptr<grpc::Channel> OpenChannel(const Endpoint& endpoint,
                                           const grpc::ChannelArguments& arguments,
                                           std::string& problem) {
  if (!std::ranges::all_of(endpoint.token, [](char c) { return c > ' ' && c <= '~'; })) {
    problem = "the token has characters in it that no token has";
    return nullptr;
  }
  const bool https = endpoint.server.starts_with(kHttps);
  const std::string address = endpoint.server.substr(https ? kHttps.size() : 0);
  if (!https && endpoint.tls_roots.empty() && endpoint.tls_client_certificate.empty()) {
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = Read(endpoint.tls_roots, problem);
  options.pem_cert_chain = Read(endpoint.tls_client_certificate, problem);
  options.pem_private_key = Read(endpoint.tls_client_key, problem);
  if (options.pem_cert_chain.empty() != options.pem_private_key.empty() && problem.empty()) {
    problem = "a client certificate and its key are given together";
  }
  if (!problem.empty()) return nullptr;
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments);
}

void ShowToken(const Endpoint& endpoint, grpc::ClientContext& context) {
  if (!endpoint.token.empty()) context.AddMetadata("authorization", "Bearer " + endpoint.token);
}

}  // namespace dimwatch::client_internal
