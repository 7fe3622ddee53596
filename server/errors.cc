#include "server/errors.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/text.h"

namespace dimwatch::server {
namespace {

// Keys of absl::Status payloads.
constexpr absl::string_view kField = "dimwatch/field";
constexpr absl::string_view kQuota = "dimwatch/quota";
constexpr absl::string_view kRetryMilliseconds = "dimwatch/retry-milliseconds";

// RESOURCE_EXHAUSTED from the core (too many runs, a full disk) does not go away in a moment.
constexpr std::int64_t kDefaultRetryMilliseconds = 30'000;

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
  violation->set_subject(Payload(status, kQuota));
  violation->set_description(out.message());
  out.add_details()->PackFrom(quota);

  const std::string text = Payload(status, kRetryMilliseconds);
  const std::int64_t milliseconds = text.empty() ? kDefaultRetryMilliseconds : std::stoll(text);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(milliseconds / 1000);
  retry.mutable_retry_delay()->set_nanos(static_cast<std::int32_t>(milliseconds % 1000 * 1000000));
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

absl::Status QuotaExceeded(absl::string_view quota, absl::string_view problem,
                           absl::Duration retry) {
  absl::Status status = absl::ResourceExhaustedError(absl::StrCat(quota, ": ", problem));
  status.SetPayload(kQuota, absl::Cord(quota));
  status.SetPayload(kRetryMilliseconds, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(retry))));
  return status;
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
