#include "server/cloud_call.h"

#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/convert.h"
#include "server/errors.h"
#include "server/limits.h"
#include "server/request_id.h"
#include "src/base/names.h"
#include "src/base/quota_error.h"

namespace dimwatch::server {

absl::Status CloudBuilder::Add(const v1::EstimateCloudRequest& request, CloudShare& share) {
  if (dim_ == 0) {
    const absl::StatusOr<EstimatorSettings> settings = FromProto(request.config());
    if (!settings.ok()) return Blame("config", settings.status());
    settings_ = *settings;
  }
  const absl::StatusOr<DType> dtype = FromProto(request.dtype());
  if (!dtype.ok()) return dtype.status();
  if (request.rows() < 1) {
    return InvalidField("rows", absl::StrCat(request.rows(), " got; a message has at least 1"));
  }
  if (request.dim() < 1 || request.dim() > kMaxDim) {
    return InvalidField("dim", absl::StrCat(request.dim(), " got; allowed are 1 to ", kMaxDim));
  }
  const auto rows = static_cast<std::size_t>(request.rows());
  const auto dim = static_cast<std::size_t>(request.dim());
  if (dim_ != 0 && dim != dim_) {
    return InvalidField("dim", absl::StrCat(dim, " got; the rows before have ", dim_));
  }
  if (request.data().size() != rows * dim * SizeOf(*dtype)) {
    return InvalidField("data",
                        absl::StrCat(request.data().size(), " bytes got; ", rows, " rows of ", dim,
                                     " components of ", SizeOf(*dtype), " bytes expected"));
  }
  const std::size_t bytes = (rows_.size() + rows * dim) * sizeof(float);
  if (bytes > kMaxCloudBytes) {
    return QuotaExceeded("max_cloud_bytes",
                         absl::StrCat(bytes, " bytes as float32; at most ", kMaxCloudBytes,
                                      " are allowed for one cloud"));
  }
  const auto more = static_cast<std::int64_t>(rows * dim * sizeof(float));
  if (absl::Status status = share.Hold(more); !status.ok()) return status;
  dim_ = dim;
  const std::size_t before = rows_.size();
  rows_.resize(before + rows * dim);
  DecodeComponents(*dtype, request.data(), std::span(rows_).subspan(before));
  return absl::OkStatus();
}

EstimateWork CloudBuilder::work() const {
  return WorkOf(settings_, static_cast<std::int64_t>(rows_.size() / dim_),
                static_cast<std::int64_t>(dim_));
}

CloudCall::CloudCall(Principal principal, grpc::CallbackServerContext& grpc_context,
                     grpc::ByteBuffer& response, EstimatorContext& context)
    : Stoppable(std::move(principal)),
      grpc_context_(grpc_context),
      response_(response),
      context_(context) {}

CloudCall::~CloudCall() {
  if (place_ != nullptr) context_.places.GiveBack(place_);
}

CloudCall* CloudCall::Start(grpc::CallbackServerContext& grpc_context, grpc::ByteBuffer& response,
                            EstimatorContext& context) {
  const absl::StatusOr<Principal> principal = context.access.Authenticate(grpc_context);
  std::shared_ptr<CloudCall> call(
      new CloudCall(principal.ok() ? *principal : Principal(), grpc_context, response, context));
  call->self_ = call;
  context.open.Add(call);
  absl::Status status = principal.status();
  if (status.ok()) {
    status = context.access.Authorize(*principal, v1::EstimateCloudRequest::default_instance());
  }
  if (status.ok()) status = call->TakePlace();
  if (!status.ok()) call->FinishOnce(status);
  call->ReadOn();
  return call.get();
}

absl::Status CloudCall::TakePlace() {
  place_ = context_.places.Take();
  if (place_ != nullptr) return absl::OkStatus();
  return QuotaExceeded("max_clouds_in_flight",
                       absl::StrCat("the server is at work on ", kMaxCloudsInFlight,
                                    " clouds, as many as it takes; try again later"),
                       absl::Seconds(2));
}

void CloudCall::Stop() {
  FinishOnce(absl::UnavailableError("the server is shutting down; try again"));
}

void CloudCall::OnDone() {
  context_.open.Remove(shared_from_this());
  self_.reset();
}

void CloudCall::OnReadDone(bool ok) {
  if (ok) {
    context_.handlers.Submit([call = shared_from_this()] { call->Receive(); });
  } else if (!grpc_context_.IsCancelled()) {
    context_.pool.Submit([call = shared_from_this()] { call->Estimate(); }, *place_);
  }
}

void CloudCall::Receive() {
  v1::EstimateCloudRequest request;
  const bool good =
      grpc::SerializationTraits<v1::EstimateCloudRequest>::Deserialize(&read_, &request).ok();
  read_.Clear();
  absl::Status status;
  if (!good) {
    status = absl::InvalidArgumentError(
        "a message on the stream is not a dimwatch.v1.EstimateCloudRequest");
  }
  if (status.ok() && share_ == nullptr) status = Open(request);
  if (status.ok()) status = cloud_.Add(request, *share_);
  if (!status.ok()) {
    FinishOnce(status);
    return;
  }
  ReadOn();
}

absl::Status CloudCall::Open(const v1::EstimateCloudRequest& first) {
  if (!first.project().empty()) {
    const absl::Status status = ValidateName("project", first.project());
    if (!status.ok()) return Blame("project", status);
  }
  {
    const std::lock_guard lock(mutex_);
    project_ = first.project();
  }
  if (absl::Status s = context_.access.Authorize(principal(), first); !s.ok()) return s;
  share_ = context_.monitor.OpenCloud(first.project());
  return absl::OkStatus();
}

void CloudCall::ReadOn() {
  const std::lock_guard lock(mutex_);
  if (!finished_) StartRead(&read_);
}

void CloudCall::Estimate() {
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
  }
  if (cloud_.empty()) {
    FinishOnce(absl::InvalidArgumentError("no rows were sent"));
    return;
  }
  if (const absl::Status status = share_->Take(cloud_.work()); !status.ok()) {
    FinishOnce(status);
    return;
  }
  const absl::StatusOr<CloudEstimate> estimate = EstimateCloud(
      cloud_.view(), cloud_.settings(), context_.pool, context_.clock, nullptr, context_.engines);
  if (!estimate.ok()) {
    FinishOnce(estimate.status());
    return;
  }
  context_.metrics.ObserveEstimate(
      {estimate->settings.estimator, estimate->settings.index, 0, estimate->seconds});
  v1::EstimateCloudResponse response;
  *response.mutable_estimate() = ToProto(*estimate);
  *response.mutable_estimate()->mutable_create_time() = ToProto(context_.clock.Now());
  FinishOnce(absl::OkStatus(), &response);
}

void CloudCall::OnCancel() { FinishOnce(absl::CancelledError("the client is gone")); }

void CloudCall::FinishOnce(const absl::Status& status, const v1::EstimateCloudResponse* response) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (response != nullptr) {
    bool own_buffer = false;
    grpc::SerializationTraits<v1::EstimateCloudResponse>::Serialize(*response, &response_,
                                                                    &own_buffer);
  }
  v1::EstimateCloudRequest named;
  named.set_project(project_);
  LogHandled(RequestIdOf(grpc_context_), principal(), named, status);
  Finish(ToGrpcStatus(status));
}

}  // namespace dimwatch::server
