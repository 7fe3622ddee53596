#include "src/monitor/purger.h"

namespace dimwatch {

void Purger::Start() {
  {
    const std::lock_guard lock(mutex_);
    if (works_ || stopped_) return;
    works_ = true;
  }
  Submit();
}

void Purger::Stop() {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  rests_.wait(lock, [this] { return !works_; });
}

void Purger::Submit() {
  pool_.Submit([this] { PurgePiece(); });
}

void Purger::PurgePiece() {
  const absl::StatusOr<bool> more = store_.Purge();
  if (!more.ok()) counters_.CountStoreError();
  {
    const std::lock_guard lock(mutex_);
    works_ = more.ok() && *more && !stopped_;
    if (!works_) {
      rests_.notify_all();
      return;
    }
  }
  Submit();
}

}  // namespace dimwatch
