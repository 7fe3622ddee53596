// A fixed set of threads for numerical work, shared fairly.
//
// Start-time fair queueing (Goyal, Vin & Cheng 1996): of the work that waits, that whose submitter
// has had least of the pool goes first. A loop gives way between two calls of its body to work that
// has had less, so that a long estimate delays a short one of somebody else by a call and not by
// its whole length.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/clock.h"

namespace dimwatch {

// Thread-safe. Destruction waits for everything submitted.
class ThreadPool {
 public:
  // What a submitter has had: the seconds that its work ran, but no less than others had when it
  // came or came back. For one piece of work at a time.
  class Account {
   private:
    friend class ThreadPool;
    std::atomic<double> virtual_time_{0};
  };

  // With 0 threads everything runs on the caller's thread. Without a clock no time passes:
  // work goes in order of submission, and before what is left of loops. The clock outlives the
  // pool.
  explicit ThreadPool(std::size_t threads, const Clock* clock = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return threads_.size(); }

  // Runs `work` some time later on one of the threads, maybe between two calls of a loop's body:
  // so it must not wait for other work, and no loop may be run under a lock that other work takes.
  // `account` outlives it.
  void Submit(std::function<void()> work, Account& account);
  // The same for work that has had nothing of late.
  void Submit(std::function<void()> work);

  // Calls body(i) once for every i in [0, count), on the pool and on the caller's thread, and
  // returns when all have returned. Safe to call from work that runs on this pool: the caller takes
  // part, so it never waits for a free thread. The order of calls is not fixed; results must not
  // depend on it.
  void ParallelFor(std::size_t count, const std::function<void(std::size_t)>& body);

 private:
  // Virtual time, then the order of submission.
  using Key = std::pair<double, std::uint64_t>;
  struct Waiting {
    std::function<void()> work;
    Account* account = nullptr;
  };

  using Queue = std::map<Key, Waiting>;

  void Add(Waiting waiting, double virtual_time, Queue& queue);
  void Loop();
  // On a thread of this pool, between two calls: runs what should go before the present work.
  void GiveWay();
  // REQUIRES: the mutex is held, and `queue` is not empty.
  std::pair<double, Waiting> TakeFirst(Queue& queue);
  void Run(const std::pair<double, Waiting>& first, int depth);
  // Of what this thread runs, by now.
  double PresentVirtualTime() const;
  absl::Duration Now() const;

  const Clock* const clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Queue work_;                   // guarded by mutex_
  Queue helpers_;                // guarded by mutex_; of loops, to which no loop gives way
  std::uint64_t submitted_ = 0;  // guarded by mutex_
  bool stopping_ = false;        // guarded by mutex_
  std::atomic<bool> work_waits_ = false;
  std::atomic<double> virtual_time_ = 0;  // of the work that was begun, the greatest
  std::vector<std::thread> threads_;
};

}  // namespace dimwatch
