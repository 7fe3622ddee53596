// Turns a condition that holds or not, estimate by estimate, into a signal's state.
#pragma once

#include "src/signal/types.h"

namespace dimwatch {

// A condition fires after it held for `patience` estimates in a row, and resolves after it failed
// for as many, so that one odd estimate neither raises nor ends a signal. For `cooldown` estimates
// after that it stays RESOLVED whatever happens. Not thread-safe.
class Debounce {
 public:
  // REQUIRES: patience >= 1, cooldown >= 0.
  Debounce(int patience, int cooldown) : patience_(patience), cooldown_(cooldown) {}

  // `may_fire` is false during warm-up: the condition then gets no further than PENDING.
  SignalState Observe(bool holds, bool may_fire);
  SignalState state() const { return state_; }

 private:
  int patience_;
  int cooldown_;
  SignalState state_ = SignalState::kInactive;
  SignalState rest_ = SignalState::kInactive;  // kResolved once it has fired
  int held_ = 0;                               // estimates in a row, up to patience_
  int failed_ = 0;                             // likewise
  int cooling_ = 0;                            // estimates left of the cooldown
};

}  // namespace dimwatch
