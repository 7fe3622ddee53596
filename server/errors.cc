#include "server/errors.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/text.h"
#include "src/base/quota_error.h"

namespace dimwatch::server {
namespace {

// Keys of absl::Status payloads.
constexpr absl::string_view kField = "dimwatch/field";

std::string Payload(const absl::Status& status, absl::string_view key) {
  const auto value = status.GetPayload(key);
  return value ? std::string(*value) : std::string();
}

void AddBadRequest(const absl::Status& status, google::rpc::Status& out) {
  google::rpc::BadRequest details;
  auto* violation = details.add_field_violations();
  violation->set_field(ValidUtf8(BlamedField(status)));
  violation->set_description(out.message());
  out.add_details()->PackFrom(details);
}

void AddQuota(const absl::Status& status, google::rpc::Status& out) {
  google::rpc::QuotaFailure quota;
  auto* violation = quota.add_violations();
  violation->set_subject(QuotaOf(status));
  violation->set_description(out.message());
  out.add_details()->PackFrom(quota);

  const std::optional<absl::Duration> delay = RetryOf(status);
  if (!delay) return;
  google::rpc::RetryInfo retry;
  *retry.mutable_retry_delay() = DurationToProto(*delay);
  out.add_details()->PackFrom(retry);
}

}  // namespace

absl::Status InvalidField(absl::string_view field, absl::string_view problem) {
  return Blame(field, absl::InvalidArgumentError(problem));
}

absl::Status Blame(absl::string_view field, const absl::Status& status) {
  if (status.ok()) return status;
  const std::string inner = BlamedField(status);
  absl::Status blamed = status;
  blamed.SetPayload(
      kField, absl::Cord(inner.empty() ? std::string(field) : absl::StrCat(field, ".", inner)));
  return blamed;
}

std::string BlamedField(const absl::Status& status) { return Payload(status, kField); }

std::string MessageOf(const absl::Status& status) {
  const std::string field = BlamedField(status);
  return ValidUtf8(field.empty() ? std::string(status.message())
                                 : absl::StrCat(field, ": ", status.message()));
}

google::protobuf::Duration DurationToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(static_cast<std::int32_t>(absl::ToInt64Nanoseconds(duration)));
  return proto;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(MessageOf(status));
  if (absl::IsInvalidArgument(status)) AddBadRequest(status, details);
  if (absl::IsResourceExhausted(status)) AddQuota(status, details);
  return {static_cast<grpc::StatusCode>(status.code()), details.message(),
          details.details_size() > 0 ? details.SerializeAsString() : std::string()};
}

}  // namespace dimwatch::server
