#include "src/base/thread_pool.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace dimwatch {
namespace {

// Work within loops within work: each may hold the memory of an estimate.
constexpr int kMaxDepth = 2;

// What a thread of a pool is at.
struct Present {
  const ThreadPool* pool = nullptr;
  const ThreadPool::Account* account = nullptr;
  double virtual_time = 0;  // at the beginning
  absl::Duration began;
  absl::Duration gave;  // to other work since then
  int depth = 0;
};
thread_local Present present;

// What the caller and its helpers of one ParallelFor share. Helpers may start after the caller has
// gone, so they own it together; `body` is used only while the caller waits.
struct SharedLoop {
  SharedLoop(std::size_t total, const std::function<void(std::size_t)>& call)
      : count(total), body(&call) {}

  // Takes indices until none is left.
  template <typename Between>
  void Run(const Between& between) {
    std::size_t finished = 0;
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      (*body)(i);
      ++finished;
      if (next < count) between();
    }
    if (finished == 0) return;
    const std::lock_guard lock(mutex);
    done += finished;
    if (done == count) all_done.notify_all();
  }

  void Wait() {
    std::unique_lock lock(mutex);
    all_done.wait(lock, [this] { return done == count; });
  }

  const std::size_t count;
  const std::function<void(std::size_t)>* const body;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::condition_variable all_done;
  std::size_t done = 0;  // guarded by mutex
};

}  // namespace

ThreadPool::ThreadPool(std::size_t threads, const Clock* clock) : clock_(clock) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

absl::Duration ThreadPool::Now() const {
  return clock_ == nullptr ? absl::ZeroDuration() : clock_->Monotonic();
}

double ThreadPool::PresentVirtualTime() const {
  return present.virtual_time + absl::ToDoubleSeconds(Now() - present.began - present.gave);
}

void ThreadPool::Submit(std::function<void()> work, Account& account) {
  if (threads_.empty()) return work();
  const bool goes_on = present.pool == this && present.account == &account;
  const double virtual_time =
      goes_on ? PresentVirtualTime() : std::max<double>(account.virtual_time_, virtual_time_);
  Add({std::move(work), &account}, virtual_time, work_);
}

void ThreadPool::Submit(std::function<void()> work) {
  if (threads_.empty()) return work();
  Add({std::move(work), nullptr}, virtual_time_, work_);
}

void ThreadPool::ParallelFor(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  const auto loop = std::make_shared<SharedLoop>(count, body);
  const auto run = [this, loop] { loop->Run([this] { GiveWay(); }); };
  const std::size_t helpers = std::min(threads_.size(), count - 1);
  const double virtual_time = present.pool == this ? PresentVirtualTime() : virtual_time_.load();
  for (std::size_t i = 0; i < helpers; ++i) Add({run, nullptr}, virtual_time, helpers_);
  run();
  loop->Wait();
}

void ThreadPool::Add(Waiting waiting, double virtual_time, Queue& queue) {
  {
    const std::lock_guard lock(mutex_);
    queue.emplace(Key(virtual_time, submitted_++), std::move(waiting));
    work_waits_ = !work_.empty();
  }
  wake_.notify_one();
}

std::pair<double, ThreadPool::Waiting> ThreadPool::TakeFirst(Queue& queue) {
  auto first = queue.extract(queue.begin());
  work_waits_ = !work_.empty();
  const double virtual_time = first.key().first;
  if (virtual_time > virtual_time_) virtual_time_ = virtual_time;
  return {virtual_time, std::move(first.mapped())};
}

void ThreadPool::Run(const std::pair<double, Waiting>& first, int depth) {
  const auto& [virtual_time, waiting] = first;
  const Present outer = std::exchange(
      present, {this, waiting.account, virtual_time, Now(), absl::ZeroDuration(), depth});
  waiting.work();
  if (waiting.account != nullptr) waiting.account->virtual_time_ = PresentVirtualTime();
  const absl::Duration took = Now() - present.began;
  present = outer;
  present.gave += took;
}

void ThreadPool::GiveWay() {
  if (!work_waits_ || present.pool != this || present.depth == kMaxDepth) return;
  std::pair<double, Waiting> first;
  {
    const std::lock_guard lock(mutex_);
    if (work_.empty() || work_.begin()->first.first > PresentVirtualTime()) return;
    first = TakeFirst(work_);
  }
  Run(first, present.depth + 1);
}

void ThreadPool::Loop() {
  while (true) {
    std::pair<double, Waiting> first;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !work_.empty() || !helpers_.empty(); });
      if (work_.empty() && helpers_.empty()) return;
      const bool helps = work_.empty() || (!helpers_.empty() && helpers_.begin()->first.first <
                                                                    work_.begin()->first.first);
      first = TakeFirst(helps ? helpers_ : work_);
    }
    Run(first, 0);
  }
}

}  // namespace dimwatch
