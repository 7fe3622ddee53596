#include "src/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

using testing::ManualClock;

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

// One thread, which is held up until all is submitted; and work that says its name and how long it
// took.
class FairPoolTest : public ::testing::Test {
 protected:
  FairPoolTest() {
    pool_.Submit([this] { gate_.get_future().wait(); });
  }
  // What was begun, in order, when all has ended.
  std::string Order() {
    std::promise<void> ended;
    gate_.set_value();
    while (ended_ < submitted_) std::this_thread::yield();
    return order_;
  }
  void Submit(
      char name, ThreadPool::Account& account, int seconds, std::function<void()> then = [] {}) {
    ++submitted_;
    pool_.Submit(
        [=, this] {
          order_ += name;
          clock_.Advance(absl::Seconds(seconds));
          then();
          ++ended_;
        },
        account);
  }

  ManualClock clock_;
  std::promise<void> gate_;
  std::string order_;  // the thread's until all has ended
  std::atomic<int> submitted_ = 0;
  std::atomic<int> ended_ = 0;
  ThreadPool::Account a_, b_, c_, d_;
  ThreadPool pool_{1, &clock_};  // last: its thread uses the others
};

TEST_F(FairPoolTest, WhoHasHadLeastGoesFirst) {
  Submit('a', a_, 3, [this] { Submit('A', a_, 1); });
  Submit('b', b_, 1, [this] { Submit('B', b_, 1, [this] { Submit('b', b_, 1); }); });
  EXPECT_EQ(Order(), "abBbA");
}

TEST_F(FairPoolTest, WhoRestedOrIsNewJoinsWhereTheOthersAre) {
  Submit('a', a_, 2, [this] {
    Submit('A', a_, 2, [this] {
      Submit('c', c_, 3, [this] { Submit('C', c_, 1); });
      Submit('a', a_, 1);
    });
  });
  EXPECT_EQ(Order(), "aAcaC");
}

TEST_F(FairPoolTest, ALoopGivesWayToWhoHasHadLess) {
  Submit('a', a_, 2, [this] {
    pool_.ParallelFor(3, [this](std::size_t i) {
      if (i == 0)
        Submit('b', b_, 1, [this] { Submit('B', b_, 9, [this] { Submit('!', b_, 1); }); });
      order_ += static_cast<char>('0' + i);
    });
  });
  EXPECT_EQ(Order(), "a0b1B2!");
}

TEST_F(FairPoolTest, TimeGivenToOthersIsTheirs) {
  Submit('a', a_, 1, [this] {
    pool_.ParallelFor(2, [this](std::size_t i) {
      if (i == 0) Submit('b', b_, 9);
    });
    Submit('A', a_, 1);
    Submit('c', c_, 1);
    Submit('B', b_, 1);
  });
  EXPECT_EQ(Order(), "abcAB");
}

TEST_F(FairPoolTest, WayIsGivenOnlySoDeep) {
  Submit('a', a_, 1, [this] {
    pool_.ParallelFor(2, [this](std::size_t i) {
      if (i == 1) return;
      Submit('b', b_, 0, [this] {
        clock_.Advance(absl::Seconds(1));
        pool_.ParallelFor(2, [this](std::size_t j) {
          if (j == 1) return;
          Submit('c', c_, 1, [this] {
            pool_.ParallelFor(2, [this](std::size_t k) {
              if (k == 0) Submit('!', d_, 0);
              order_ += static_cast<char>('0' + k);
            });
          });
        });
      });
    });
  });
  EXPECT_EQ(Order(), "abc01!");
}

}  // namespace
}  // namespace dimwatch
