// The streams that are open, so that a stop of the server, or the end of a token, can end them.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/access.h"

namespace dimwatch::server {

// A stream that can be told to end. Both calls may come at any time, from any thread, and must not
// block.
class Stoppable {
 public:
  explicit Stoppable(Principal principal) : principal_(std::move(principal)) {}
  virtual ~Stoppable() = default;

  // Ends it with UNAVAILABLE.
  virtual void Stop() = 0;
  // Ends it with `why`; nothing more is told to the caller.
  virtual void Revoke(const absl::Status& why) = 0;

  const Principal& principal() const { return principal_; }

 private:
  const Principal principal_;
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
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    for (const auto& stream : All()) stream->Stop();
  }
  // Ends the streams whose token is not good any more.
  void Recheck(const Access& access) {
    for (const auto& stream : All()) {
      const absl::Status status = access.Check(stream->principal());
      if (!status.ok()) stream->Revoke(status);
    }
  }

 private:
  std::vector<std::shared_ptr<Stoppable>> All() {
    const std::lock_guard lock(mutex_);
    return {streams_.begin(), streams_.end()};
  }

  std::mutex mutex_;
  bool stopped_ = false;                          // guarded by mutex_
  std::set<std::shared_ptr<Stoppable>> streams_;  // guarded by mutex_
};

}  // namespace dimwatch::server
