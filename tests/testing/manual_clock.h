// A clock that stands still until a test moves it.
#pragma once

#include <mutex>

#include "absl/time/time.h"
#include "src/base/clock.h"

namespace dimwatch::testing {

// Thread-safe.
class ManualClock final : public Clock {
 public:
  absl::Time Now() const override {
    const std::lock_guard lock(mutex_);
    return absl::FromUnixSeconds(1'700'000'000) + passed_ + jumped_;
  }
  absl::Duration Monotonic() const override {
    const std::lock_guard lock(mutex_);
    return passed_;
  }
  void Advance(absl::Duration by) {
    const std::lock_guard lock(mutex_);
    passed_ += by;
  }
  // Somebody sets the clock: only the time of day changes.
  void Jump(absl::Duration by) {
    const std::lock_guard lock(mutex_);
    jumped_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Duration passed_;  // guarded by mutex_
  absl::Duration jumped_;  // guarded by mutex_
};

}  // namespace dimwatch::testing
