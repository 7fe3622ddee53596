// The HTTP side: sockets and threads around HttpApi. Plain HTTP; encryption belongs to a proxy.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "server/config.h"
#include "server/http_api.h"
#include "server/metrics.h"

namespace httplib {
class Server;
}

namespace dimwatch::server {

// Serves from Start until it is destroyed, on kHttpThreads threads.
class HttpServer {
 public:
  // `api` and `metrics` outlive it. UNAVAILABLE if the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Address& address, HttpApi& api,
                                                           ServerMetrics& metrics);
  ~HttpServer();

  // With the port that was taken.
  const Address& address() const { return address_; }

 private:
  HttpServer(Address address, std::unique_ptr<httplib::Server> server);
  void Loop();

  Address address_;
  std::unique_ptr<httplib::Server> server_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace dimwatch::server
