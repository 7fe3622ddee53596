#include "server/rpc_counter.h"

#include <string>

#include "absl/status/status.h"

namespace dimwatch::server {
namespace {

using grpc::experimental::InterceptionHookPoints;

class Counter final : public grpc::experimental::Interceptor {
 public:
  Counter(ServerMetrics& metrics, absl::string_view method)
      : metrics_(metrics), method_(method.substr(method.rfind('/') + 1)) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto code = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());
      metrics_.CountHandled(method_, absl::StatusCodeToString(code));
    }
    methods->Proceed();
  }

 private:
  ServerMetrics& metrics_;
  std::string method_;
};

}  // namespace

grpc::experimental::Interceptor* RpcCounter::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  return new Counter(metrics_, info->method());
}

}  // namespace dimwatch::server
