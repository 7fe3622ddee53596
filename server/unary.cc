#include "server/unary.h"

#include "server/log.h"

namespace dimwatch::server {

UnaryEnd::UnaryEnd(grpc::ServerUnaryReactor& reactor, const grpc::CallbackServerContext& context,
                   const google::protobuf::Message& request)
    : reactor_(reactor), request_(request), request_id_(RequestIdOf(context)) {}

void UnaryEnd::Finish(const Principal& principal, const absl::Status& status) const {
  LogHandled(request_id_, principal, request_, status);
  reactor_.Finish(ToGrpcStatus(status));
}

void UnaryEnd::Fail(const Principal& principal, const std::exception& error) const {
  Log(LogLevel::kError, "a handler failed",
      {{"request", request_id_}, {"error", std::string(error.what())}});
  Finish(principal, absl::InternalError("the server failed; its log says more"));
}

}  // namespace dimwatch::server
