#include "server/estimator_service.h"

#include "server/cloud_call.h"

namespace dimwatch::server {

grpc::ServerReadReactor<grpc::ByteBuffer>* EstimatorService::EstimateCloud(
    grpc::CallbackServerContext* context, grpc::ByteBuffer* response) {
  return CloudCall::Start(*context, *response, context_);
}

}  // namespace dimwatch::server
