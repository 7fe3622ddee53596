#include "src/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace dimwatch {
namespace {

TEST(ThreadPoolTest, ParallelForCallsEveryIndexOnce) {
  for (const std::size_t threads : {0, 1, 3}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> calls(1000);
    pool.ParallelFor(calls.size(), [&](std::size_t i) { ++calls[i]; });
    for (const std::atomic<int>& count : calls) EXPECT_EQ(count, 1);
    pool.ParallelFor(0, [](std::size_t) { FAIL(); });
  }
}

TEST(ThreadPoolTest, LoopsMayNestOnTheSamePool) {
  ThreadPool pool(2);
  std::atomic<int> calls = 0;
  pool.ParallelFor(8, [&](std::size_t) { pool.ParallelFor(8, [&](std::size_t) { ++calls; }); });
  EXPECT_EQ(calls, 64);
}

TEST(ThreadPoolTest, DestructionWaitsForWhatWasSubmitted) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(2);
    for (int i = 0; i < 100; ++i) pool.Submit([&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace dimwatch
