// Time, passed in: the core never reads a clock of its own.
#pragma once

#include "absl/time/time.h"

namespace dimwatch {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time, for timestamps and heartbeats.
  virtual absl::Time Now() const = 0;
  // Time since an arbitrary fixed point, never going back; for durations.
  virtual absl::Duration Monotonic() const = 0;
};

}  // namespace dimwatch
