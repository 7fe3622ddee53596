#include "src/monitor/channels.h"

#include <utility>

namespace dimwatch {

SessionChannel::SessionChannel(Dispatcher& dispatcher, std::shared_ptr<SessionListener> listener)
    : dispatcher_(dispatcher), listener_(std::move(listener)) {}

void SessionChannel::PostDurable(std::int64_t seq) {
  durable_seq_ = seq;
  if (durable_posted_.exchange(true)) return;
  Post([this](SessionListener& listener) {
    durable_posted_ = false;
    listener.OnDurable(durable_seq_);
  });
}

void SessionChannel::PostChanges(std::shared_ptr<const RunChanges> changes) {
  Post([changes = std::move(changes)](SessionListener& l) { l.OnChanges(*changes); });
}

void SessionChannel::PostRoom() {
  Post([](SessionListener& listener) { listener.OnRoom(); });
}

void SessionChannel::End(absl::Status reason) {
  Post([reason = std::move(reason)](SessionListener& l) { l.OnEnd(reason); }, /*last=*/true);
}

void SessionChannel::Close() {
  std::shared_ptr<SessionListener> released;
  const std::lock_guard lock(mutex_);
  released = std::move(listener_);
}

void SessionChannel::Post(std::function<void(SessionListener&)> call, bool last) {
  dispatcher_.Post([self = shared_from_this(), call = std::move(call), last] {
    std::shared_ptr<SessionListener> released;
    const std::lock_guard lock(self->mutex_);
    if (!self->listener_) return;
    call(*self->listener_);
    if (last) released = std::move(self->listener_);
  });
}

Subscription::Subscription(Dispatcher& dispatcher, std::function<void()> notify)
    : dispatcher_(dispatcher), notify_(std::move(notify)) {}

void Subscription::Post() {
  dispatcher_.Post([self = shared_from_this()] {
    const std::lock_guard lock(self->mutex_);
    if (self->notify_) self->notify_();
  });
}

void Subscription::Close() {
  const std::lock_guard lock(mutex_);
  notify_ = nullptr;
}

}  // namespace dimwatch
