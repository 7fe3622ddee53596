#include "src/monitor/cloud_share.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/quota_error.h"

namespace dimwatch {

CloudShare::CloudShare(std::shared_ptr<ServerUsage> server, const std::string& project,
                       std::int64_t memory_bytes, const Clock& clock)
    : server_(std::move(server)),
      usage_(server_, project),
      memory_bytes_(memory_bytes),
      clock_(clock) {}

absl::Status CloudShare::Hold(std::int64_t bytes) {
  if (absl::Status s = CheckMemory(*server_, bytes, memory_bytes_); !s.ok()) return Counted(s);
  usage_.Add(Resource::kCloudBytes, bytes);
  return absl::OkStatus();
}

absl::Status CloudShare::Take(const EstimateWork& work) {
  const double a_minute = usage_.project().quota().compute_per_minute;
  if (a_minute == 0) return absl::OkStatus();
  const absl::Duration now = clock_.Monotonic();
  const double left = usage_.project().ComputeLeft(now);
  if (left <= 0) {
    const absl::Duration until_paid = absl::Minutes(-left / a_minute);
    return Counted(
        QuotaExceeded("compute_per_minute",
                      absl::StrCat("the project has used up its ", a_minute,
                                   " rows x points x components a minute, and ", -left, " more"),
                      std::max(absl::Seconds(1), until_paid)));
  }
  usage_.project().TakeCompute(work.queries * work.per_query, now);
  return absl::OkStatus();
}

absl::Status CloudShare::Counted(absl::Status status) const {
  usage_.project().CountRefusal(QuotaOf(status));
  return status;
}

}  // namespace dimwatch
