// Counts every RPC that ends, by method and status code.
#pragma once

#include "grpcpp/support/server_interceptor.h"
#include "server/metrics.h"

namespace dimwatch::server {

// Thread-safe.
class RpcCounter final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit RpcCounter(ServerMetrics& metrics) : metrics_(metrics) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  ServerMetrics& metrics_;
};

}  // namespace dimwatch::server
