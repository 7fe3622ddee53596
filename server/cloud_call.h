// One EstimateCloud: gathers the rows as float32, estimates once the client has half-closed.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dimwatch/v1/estimator.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/estimator_service.h"
#include "src/monitor/cloud_share.h"

namespace dimwatch::server {

// Rows of one cloud, as they come. Not thread-safe.
class CloudBuilder {
 public:
  // Adds the rows of one message. INVALID_ARGUMENT for rows that do not fit each other or their
  // bytes, RESOURCE_EXHAUSTED beyond kMaxCloudBytes or what `share` has room for, counted as
  // float32.
  absl::Status Add(const v1::EstimateCloudRequest& request, CloudShare& share);

  const EstimatorSettings& settings() const { return settings_; }
  PointCloudView view() const { return {rows_, rows_.size() / dim_, dim_}; }
  EstimateWork work() const;
  bool empty() const { return rows_.empty(); }

 private:
  EstimatorSettings settings_;
  std::vector<float> rows_;
  std::size_t dim_ = 0;
};

// Thread-safe. Lives until gRPC and the computation are done with it.
class CloudCall final : public grpc::ServerReadReactor<grpc::ByteBuffer>,
                        public Stoppable,
                        public std::enable_shared_from_this<CloudCall> {
 public:
  // Takes one of kMaxCloudsInFlight places, if the caller is allowed to; without a free one the
  // call ends with RESOURCE_EXHAUSTED.
  static CloudCall* Start(grpc::CallbackServerContext& grpc_context, grpc::ByteBuffer& response,
                          EstimatorContext& context);
  ~CloudCall() override;
  void Stop() override;
  void Revoke(const absl::Status& why) override { FinishOnce(why); }

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  CloudCall(Principal principal, grpc::CallbackServerContext& grpc_context,
            grpc::ByteBuffer& response, EstimatorContext& context);

  absl::Status TakePlace();
  void ReadOn();   // unless finished
  void Receive();  // on a handler's thread
  // Reads the project of the first message, which must be allowed.
  absl::Status Open(const v1::EstimateCloudRequest& first);
  void Estimate();  // on the pool
  void FinishOnce(const absl::Status& status, const v1::EstimateCloudResponse* response = nullptr);

  grpc::CallbackServerContext& grpc_context_;
  grpc::ByteBuffer& response_;  // gRPC's, until finished
  EstimatorContext& context_;
  std::shared_ptr<CloudCall> self_;  // until OnDone
  ThreadPool::Account* place_ = nullptr;
  grpc::ByteBuffer read_;
  // Touched by one of Receive and Estimate at a time.
  std::unique_ptr<CloudShare> share_;  // from the first message on
  CloudBuilder cloud_;

  std::mutex mutex_;
  std::string project_;    // guarded by mutex_
  bool finished_ = false;  // guarded by mutex_
};

}  // namespace dimwatch::server
