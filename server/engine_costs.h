// What engines cost on this machine: measured at the first start, kept in the data folder.
#pragma once

#include <filesystem>

#include "src/base/clock.h"
#include "src/knn/engine_choice.h"

namespace dimwatch::server {

// The processor time of the calling thread: what else the machine does has little effect on it.
class ThreadClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
};

struct KnownCosts {
  EngineCosts costs;
  bool measured = false;  // now; otherwise read from the file
};

// Reads the costs that `file` keeps for this processor, so that `auto` decides as before a restart.
// Measures them with `clock` and writes the file if there is none, or one that cannot be read, or
// one of another processor. A file that cannot be written is no error: the next start measures
// again.
KnownCosts LoadOrMeasure(const std::filesystem::path& file, const Clock& clock);

}  // namespace dimwatch::server
