#include "src/base/quota_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace dimwatch {
namespace {

// Keys of absl::Status payloads.
constexpr absl::string_view kQuota = "dimwatch/quota";
constexpr absl::string_view kRetryMilliseconds = "dimwatch/retry-milliseconds";

}  // namespace

absl::Status QuotaExceeded(absl::string_view quota, absl::string_view problem,
                           std::optional<absl::Duration> retry) {
  absl::Status status = absl::ResourceExhaustedError(absl::StrCat(quota, ": ", problem));
  status.SetPayload(kQuota, absl::Cord(quota));
  if (retry) {
    status.SetPayload(kRetryMilliseconds,
                      absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(*retry))));
  }
  return status;
}

std::string QuotaOf(const absl::Status& status) {
  const auto quota = status.GetPayload(kQuota);
  return quota ? std::string(*quota) : std::string();
}

std::optional<absl::Duration> RetryOf(const absl::Status& status) {
  const auto text = status.GetPayload(kRetryMilliseconds);
  std::int64_t milliseconds = 0;
  if (!text || !absl::SimpleAtoi(std::string(*text), &milliseconds)) return std::nullopt;
  return absl::Milliseconds(milliseconds);
}

}  // namespace dimwatch
