// What a cloud that is estimated beside the runs (EstimatorService) may use, and does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "src/base/clock.h"
#include "src/monitor/estimate_work.h"
#include "src/monitor/usage.h"

namespace dimwatch {

// Counts for one project, and for the memory that the runs share; gives back what it holds when it
// goes. Refusals are RESOURCE_EXHAUSTED, counted, with the name of the limit and when to try again.
// Not thread-safe.
class CloudShare {
 public:
  // `memory_bytes`: the hard limit. `clock` outlives it.
  CloudShare(std::shared_ptr<ServerUsage> server, const std::string& project,
             std::int64_t memory_bytes, const Clock& clock);

  // Asks for room for so many bytes more.
  absl::Status Hold(std::int64_t bytes);
  // Asks for the compute of an estimate: refused while its project owes some.
  absl::Status Take(const EstimateWork& work);

 private:
  absl::Status Counted(absl::Status status) const;

  const std::shared_ptr<ServerUsage> server_;
  UsageShare usage_;
  const std::int64_t memory_bytes_;
  const Clock& clock_;
};

}  // namespace dimwatch
