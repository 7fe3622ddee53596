// The streams that are open, so that a stop of the server can end them.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace dimwatch::server {

// A stream that can be told to end.
class Stoppable {
 public:
  virtual ~Stoppable() = default;
  // Ends it with UNAVAILABLE; may come at any time, from any thread. Must not block.
  virtual void Stop() = 0;
};

// Thread-safe.
class OpenStreams {
 public:
  // From now on StopAll reaches `stream`; if it was called before, it stops it at once.
  void Add(const std::shared_ptr<Stoppable>& stream) {
    const std::lock_guard lock(mutex_);
    if (stopped_) stream->Stop();
    streams_.insert(stream);
  }
  void Remove(const std::shared_ptr<Stoppable>& stream) {
    const std::lock_guard lock(mutex_);
    streams_.erase(stream);
  }
  void StopAll() {
    std::set<std::shared_ptr<Stoppable>> streams;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      streams = streams_;
    }
    for (const auto& stream : streams) stream->Stop();
  }

 private:
  std::mutex mutex_;
  bool stopped_ = false;                          // guarded by mutex_
  std::set<std::shared_ptr<Stoppable>> streams_;  // guarded by mutex_
};

}  // namespace dimwatch::server
