// The machine's own clock.
#pragma once

#include <chrono>
#include <ctime>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "src/base/clock.h"

namespace dimwatch::cli {

// Thread-safe.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Monotonic() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

// The processor time of the calling thread, to measure with; thread-safe.
class ThreadClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Monotonic() const override {
    std::timespec time = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return absl::DurationFromTimespec(time);
  }
};

}  // namespace dimwatch::cli
