#include "server/wall_clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace dimwatch::server {

absl::Time WallClock::Now() const { return absl::Now(); }

absl::Duration WallClock::Monotonic() const {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace dimwatch::server
