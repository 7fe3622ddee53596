// A job whose server is in trouble: it stays small, ends in time, and says each thing once.
#include "tests/client/hostile_server.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dimwatch/client.h"
#include "tests/client/server_process.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kRows = 4096;
constexpr std::int64_t kDim = 768;
constexpr std::int64_t kSteps = 60;  // 6 MiB of float16 each
constexpr std::int64_t kQueueBytes = 32 << 20;
constexpr std::int64_t kOverheadBytes = 64 << 20;  // gRPC's buffers; all steps are 360 MiB
constexpr seconds kFlush{1};
constexpr seconds kSlack{9};  // to end threads on a busy machine

std::int64_t ResidentBytes() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

class HostileServerTest : public ::testing::Test {
 protected:
  HostileServerTest() { ::testing::internal::CaptureStderr(); }
  ~HostileServerTest() override {
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), IsEmpty());
  }

  dimwatch::Run Start(const std::string& server) {
    RunOptions options;
    options.server = server;
    options.project = "tests";
    options.queue_bytes = kQueueBytes;
    options.on_warning = [this](const std::string& warning) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(warning);
    };
    dimwatch::Run run = dimwatch::Run::Start(std::move(options));
    probe_.emplace(run.AddProbe({.name = "train/a", .neighbors = 8, .max_points = 100}));
    return run;
  }

  // Logs so many clouds, and checks that the queue and the process stay small.
  void Train(dimwatch::Run& run, std::int64_t steps) {
    const std::vector<std::uint16_t> cloud(kRows * kDim, 0x3c00);  // ones
    const std::int64_t before = ResidentBytes();
    for (std::int64_t i = 0; i < steps; ++i) {
      probe_->Log(cloud.data(), kRows, kDim, step_, DType::kF16, {.snapshot_end = true});
      run.Log({{"train/loss", 1.0}}, step_++);
      ASSERT_LE(run.stats().queued_bytes, kQueueBytes);
      ASSERT_LT(ResidentBytes() - before, kQueueBytes + kOverheadBytes);
    }
  }

  // Finishes in vain; the run has counted every row, and has told each trouble once.
  void FinishInVain(dimwatch::Run& run) {
    const auto start = steady_clock::now();
    EXPECT_FALSE(run.Finish(kFlush));
    EXPECT_LT(steady_clock::now() - start, kFlush + kSlack);
    const RunStats stats = run.stats();
    EXPECT_EQ(stats.rows_logged, step_ * kRows);
    EXPECT_EQ(stats.rows_durable + stats.rows_dropped, stats.rows_logged);
    EXPECT_EQ(stats.queued_bytes, 0);
    const std::lock_guard lock(mutex_);
    EXPECT_THAT(warnings_, Each(AnyOf(HasSubstr("dropped "), HasSubstr("no connection"),
                                      HasSubstr("was not finished"))));
    for (const char* trouble : {"dropped ", "no connection", "was not finished"}) {
      EXPECT_LE(std::ranges::count_if(warnings_,
                                      [trouble](const std::string& warning) {
                                        return warning.find(trouble) != std::string::npos;
                                      }),
                1);
    }
  }

  void TrainInVain(const std::string& server) {
    dimwatch::Run run = Start(server);
    Train(run, kSteps);
    FinishInVain(run);
    EXPECT_EQ(run.stats().rows_durable, 0);
  }

  // A run that is only destroyed.
  void LeaveInTime(const std::string& server) {
    auto start = steady_clock::now();
    {
      dimwatch::Run run = Start(server);
      Train(run, 3);
      start = steady_clock::now();
    }
    EXPECT_LT(steady_clock::now() - start, kSlack);
  }

  testing::TempFolder folder_;
  std::optional<Probe> probe_;
  std::int64_t step_ = 0;

 private:
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

TEST_F(HostileServerTest, AJobWithoutAServerTrainsOn) {
  const std::string nobody = "127.0.0.1:" + std::to_string(FreePort());
  TrainInVain(nobody);
  LeaveInTime(nobody);
}

TEST_F(HostileServerTest, AJobWhoseServerNeverAnswersTrainsOn) {
  HostileServer server(HostileServer::Kind::kHung);
  TrainInVain(server.address());
  LeaveInTime(server.address());
}

TEST_F(HostileServerTest, AJobWhoseServerSaysNonsenseTrainsOn) {
  HostileServer server(HostileServer::Kind::kGarbage);
  dimwatch::Run run = Start(server.address());
  Train(run, kSteps);
  const auto deadline = steady_clock::now() + seconds(30);
  while (server.connections() < 5 && steady_clock::now() < deadline) {  // each kind of nonsense
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_GE(server.connections(), 5);
  FinishInVain(run);
  LeaveInTime(server.address());
}

TEST_F(HostileServerTest, AJobWhoseServerStopsAnsweringTrainsOn) {
  ServerProcess server(folder_.path(), 0);
  dimwatch::Run run = Start(server.address());
  Train(run, 2);
  while (run.stats().rows_durable == 0) std::this_thread::sleep_for(milliseconds(5));
  server.Freeze();
  Train(run, kSteps);
  FinishInVain(run);
}

TEST_F(HostileServerTest, AJobWhoseServerDiesAndComesBackLosesWhatItCounts) {
  const int port = FreePort();
  dimwatch::Run run = Start("127.0.0.1:" + std::to_string(port));
  for (int life = 0; life < 3; ++life) {
    ServerProcess server(folder_.path(), port);
    const std::int64_t before = run.stats().rows_durable;
    Train(run, 4);
    while (run.stats().rows_durable == before) std::this_thread::sleep_for(milliseconds(5));
    server.Kill();
    Train(run, 4);
  }
  const ServerProcess server(folder_.path(), port);
  EXPECT_TRUE(run.Finish());
  const RunStats stats = run.stats();
  EXPECT_EQ(stats.rows_durable + stats.rows_dropped, step_ * kRows);
  EXPECT_GT(stats.rows_durable, 0);
  EXPECT_EQ(stats.items_rejected, 0);
}

// Blocks are kept for the next logs, which may not come.
TEST_F(HostileServerTest, AnIdleJobGivesItsMemoryBack) {
  constexpr std::int64_t kLogs = 4;
  ServerProcess server(folder_.path(), 0);
  dimwatch::Run run = Start(server.address());
  server.Freeze();
  Train(run, kLogs);
  server.Thaw();
  while (run.stats().rows_durable < kLogs * kRows) std::this_thread::sleep_for(milliseconds(5));
  const std::int64_t busy = ResidentBytes();
  const auto deadline = steady_clock::now() + seconds(60);
  const auto given_back = [&] { return busy - ResidentBytes() > (kLogs - 1) * kRows * kDim * 2; };
  while (!given_back() && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_TRUE(given_back()) << busy << " bytes, now " << ResidentBytes();
  EXPECT_TRUE(run.Finish());
}

// Address space of this process, from now on.
void LeaveMemory(std::int64_t bytes) {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto limit = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE) + bytes);
  const rlimit limits{limit, limit};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limits), 0);
}

// Logs far more than there is memory for to a server that stops answering and then goes on.
// Returns whether the run ended well, with every row counted and one warning.
bool TrainWithoutMemory() {
  const testing::TempFolder folder;
  ServerProcess server(folder.path(), 0);
  std::mutex mutex;
  std::vector<std::string> warnings;
  dimwatch::Run run = dimwatch::Run::Start({.server = server.address(),
                                            .project = "tests",
                                            .queue_bytes = std::int64_t{4} << 30,
                                            .on_warning = [&](const std::string& warning) {
                                              const std::lock_guard lock(mutex);
                                              warnings.push_back(warning);
                                            }});
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 8, .max_points = 100});
  while (!run.stats().connected) std::this_thread::sleep_for(milliseconds(5));
  server.Freeze();
  const std::vector<std::uint16_t> cloud(kRows * kDim, 0x3c00);  // ones
  LeaveMemory(256 << 20);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    probe.Log(cloud.data(), kRows, kDim, step, DType::kF16, {.snapshot_end = true});
    run.Log({{"train/loss", 1.0}}, step);
  }
  server.Thaw();
  const bool finished = run.Finish();
  const RunStats stats = run.stats();
  std::cerr << "finished " << finished << " logged " << stats.rows_logged << " durable "
            << stats.rows_durable << " dropped " << stats.rows_dropped << "\n";
  for (const std::string& warning : warnings) std::cerr << warning << "\n";
  return finished && stats.rows_logged == kSteps * kRows && stats.rows_durable > 0 &&
         stats.rows_dropped > 0 && stats.rows_durable + stats.rows_dropped == stats.rows_logged &&
         stats.scalars_dropped == 0 && warnings.size() == 1 &&
         warnings.front().find("too little memory") != std::string::npos;
}

TEST(HostileMachineTest, AJobWithoutMemoryTrainsOn) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers map more address space than any limit leaves";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(_exit(TrainWithoutMemory() ? 0 : 1), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace dimwatch
