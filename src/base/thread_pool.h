// A fixed set of threads for numerical work.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace dimwatch {

// Thread-safe. Destruction waits for everything submitted.
class ThreadPool {
 public:
  // With 0 threads everything runs on the caller's thread.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return threads_.size(); }

  // Runs `work` some time later on one of the threads.
  void Submit(std::function<void()> work);

  // Calls body(i) once for every i in [0, count), on the pool and on the caller's thread, and
  // returns when all have returned. Safe to call from work that runs on this pool: the caller takes
  // part, so it never waits for a free thread. The order of calls is not fixed; results must not
  // depend on it.
  void ParallelFor(std::size_t count, const std::function<void(std::size_t)>& body);

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace dimwatch
