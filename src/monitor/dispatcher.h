// The thread that calls listeners.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace dimwatch {

// Runs what is posted on a thread of its own, one call at a time, in the order of posting: an
// acknowledgement never waits behind an estimate. Thread-safe. Destruction runs what was posted.
class Dispatcher {
 public:
  Dispatcher();
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // `call` must not block.
  void Post(std::function<void()> call);
  // Returns when everything posted before has run. Not to be called from a posted call.
  void Flush();

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> calls_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace dimwatch
