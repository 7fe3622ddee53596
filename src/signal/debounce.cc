#include "src/signal/debounce.h"

#include <algorithm>

namespace dimwatch {

SignalState Debounce::Observe(bool holds, bool may_fire) {
  held_ = holds ? std::min(held_ + 1, patience_) : 0;
  failed_ = holds ? 0 : std::min(failed_ + 1, patience_);
  if (state_ == SignalState::kFiring) {
    if (failed_ < patience_) return state_;
    cooling_ = cooldown_;
    rest_ = SignalState::kResolved;
    return state_ = rest_;
  }
  if (cooling_ > 0) {
    --cooling_;
    return state_;
  }
  if (!holds) return state_ = rest_;
  return state_ = may_fire && held_ == patience_ ? SignalState::kFiring : SignalState::kPending;
}

}  // namespace dimwatch
