// AdminService over gRPC.
#pragma once

#include "dimwatch/v1/admin.grpc.pb.h"
#include "server/unary.h"

namespace dimwatch::server {

// Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  explicit AdminService(UnaryContext unary) : unary_(unary) {}

  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::SetLogLevelRequest* request,
                                        v1::SetLogLevelResponse* response) override;

 private:
  const UnaryContext unary_;
};

}  // namespace dimwatch::server
