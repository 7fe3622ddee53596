// From a run to those who listen to it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "src/monitor/dispatcher.h"
#include "src/monitor/monitor.h"

namespace dimwatch {

// The way to one session's listener. Posts in order; drops what comes after End or Close.
// Thread-safe. The dispatcher outlives it.
class SessionChannel : public std::enable_shared_from_this<SessionChannel> {
 public:
  SessionChannel(Dispatcher& dispatcher, std::shared_ptr<SessionListener> listener);

  // Many at once become one call: the latest seq counts.
  void PostDurable(std::int64_t seq);
  void PostChanges(std::shared_ptr<const RunChanges> changes);
  void PostRoom();
  // The last call.
  void End(absl::Status reason);
  // Waits for a call under way; none follows. Not to be called from a call of the listener, nor
  // under a lock that the listener takes.
  void Close();

 private:
  void Post(std::function<void(SessionListener&)> call, bool last = false);

  Dispatcher& dispatcher_;
  std::mutex mutex_;                           // held during calls
  std::shared_ptr<SessionListener> listener_;  // guarded by mutex_; null once ended or closed
  std::atomic<std::int64_t> durable_seq_{0};
  std::atomic<bool> durable_posted_{false};
};

// What Monitor::Subscribe was given. Thread-safe. The dispatcher outlives it.
class Subscription : public std::enable_shared_from_this<Subscription> {
 public:
  Subscription(Dispatcher& dispatcher, std::function<void()> notify);
  void Post();
  // As SessionChannel::Close.
  void Close();

 private:
  Dispatcher& dispatcher_;
  std::mutex mutex_;  // held during calls
  std::function<void()> notify_;
};

}  // namespace dimwatch
