#include "server/estimator_service.h"

#include "server/cloud_call.h"

namespace dimwatch::server {

CloudPlaces::CloudPlaces() {
  for (ThreadPool::Account& place : places_) free_.push_back(&place);
}

ThreadPool::Account* CloudPlaces::Take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return nullptr;
  ThreadPool::Account* const place = free_.back();
  free_.pop_back();
  return place;
}

void CloudPlaces::GiveBack(ThreadPool::Account* place) {
  const std::lock_guard lock(mutex_);
  free_.push_back(place);
}

grpc::ServerReadReactor<grpc::ByteBuffer>* EstimatorService::EstimateCloud(
    grpc::CallbackServerContext* context, grpc::ByteBuffer* response) {
  return CloudCall::Start(*context, *response, context_);
}

}  // namespace dimwatch::server
