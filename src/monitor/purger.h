// Removes what deleted runs left in the store, piece by piece.
#pragma once

#include <condition_variable>
#include <mutex>

#include "src/base/thread_pool.h"
#include "src/monitor/context.h"
#include "src/store/store.h"

namespace dimwatch {

// Works on the pool, one piece at a time, and lets other work run in between. Thread-safe. All
// arguments outlive it.
class Purger {
 public:
  Purger(Store& store, ThreadPool& pool, Counters& counters)
      : store_(store), pool_(pool), counters_(counters) {}

  // Begins, unless it is at work. It rests when nothing is left or the store fails.
  void Start();
  // Waits for the piece under way; nothing begins afterwards.
  void Stop();

 private:
  void Submit();
  void PurgePiece();

  Store& store_;
  ThreadPool& pool_;
  Counters& counters_;
  std::mutex mutex_;
  std::condition_variable rests_;
  bool works_ = false;    // guarded by mutex_
  bool stopped_ = false;  // guarded by mutex_
};

}  // namespace dimwatch
