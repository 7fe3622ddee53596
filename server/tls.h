// Encryption of the gRPC side, with certificates that are read again on request.
//
// Guaranteed:
//  1. What is in use was read whole, fits together, and was valid when it was read. A reload that
//     finds anything else changes nothing, so files may be replaced one after the other.
//  2. Connections keep the certificates that they began with; new ones use the newest.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpc/grpc_security.h"
#include "grpcpp/security/server_credentials.h"
#include "server/config.h"

namespace dimwatch::server {

// Thread-safe.
class Tls {
 public:
  // INVALID_ARGUMENT names the file and what is wrong with it. Everything is judged as of `now`.
  static absl::StatusOr<std::unique_ptr<Tls>> Open(TlsFiles files, absl::Time now);

  // Reads the files again.
  absl::Status Reload(absl::Time now);
  // When the certificate in use expires.
  absl::Time expire_time() const;

  // For one listening port of a server that this outlives.
  std::shared_ptr<grpc::ServerCredentials> Credentials();

 private:
  struct Contents {
    std::string certificate;
    std::string key;
    std::string client_roots;
    absl::Time expire_time;
  };

  explicit Tls(TlsFiles files) : files_(std::move(files)) {}
  static absl::StatusOr<Contents> Read(const TlsFiles& files, absl::Time now);
  // What gRPC asks at every handshake; `self` is a Tls.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config);

  const TlsFiles files_;
  mutable std::mutex mutex_;
  Contents contents_;     // guarded by mutex_
  bool fetched_ = false;  // gRPC has contents_; guarded by mutex_
};

}  // namespace dimwatch::server
