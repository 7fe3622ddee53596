// The machine's clock.
#pragma once

#include "src/base/clock.h"

namespace dimwatch::server {

class WallClock : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
};

}  // namespace dimwatch::server
