// The C++ client against a real server: present, absent, killed, frozen.
#include "dimwatch/client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dimwatch/v1/query.grpc.pb.h"
#include "dimwatch/v1/run.grpc.pb.h"
#include "tests/client/server_process.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kRows = 120;
constexpr int kDim = 12;

// A cloud that depends on the step alone.
std::vector<float> Cloud(std::int64_t step, int rows = kRows, int dim = kDim) {
  std::mt19937 random(static_cast<unsigned>(step) + 1);
  std::normal_distribution<float> normal;
  std::vector<float> cloud(static_cast<std::size_t>(rows * dim));
  for (float& component : cloud) component = normal(random);
  return cloud;
}

// Polls; there is nothing to wait on from outside.
bool Eventually(const std::function<bool()>& holds) {
  const auto deadline = steady_clock::now() + seconds(60);
  while (!holds()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

class ClientTest : public ::testing::Test {
 protected:
  using Run = dimwatch::Run;  // not testing::Test::Run

  RunOptions Options(const std::string& server, const std::string& run_id) {
    RunOptions options;
    options.server = server;
    options.project = "tests";
    options.run_id = run_id;
    options.on_warning = [this](const std::string& warning) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(warning);
    };
    return options;
  }
  std::vector<std::string> warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

  static void LogStep(Run& run, Probe& probe, std::int64_t step) {
    const std::vector<float> cloud = Cloud(step);
    probe.Log(cloud.data(), kRows, kDim, step, {.snapshot_end = true});
    run.Log({{"train/loss", 1.0 / static_cast<double>(step + 1)}}, step);
  }

  static std::vector<v1::Estimate> Estimates(const std::string& server, const std::string& run_id) {
    const auto stub =
        v1::QueryService::NewStub(grpc::CreateChannel(server, grpc::InsecureChannelCredentials()));
    v1::ListEstimatesRequest request;
    request.set_run_id(run_id);
    v1::ListEstimatesResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub->ListEstimates(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.estimates().begin(), response.estimates().end()};
  }

  static v1::Run GetRun(const std::string& server, const std::string& run_id) {
    const auto stub =
        v1::RunService::NewStub(grpc::CreateChannel(server, grpc::InsecureChannelCredentials()));
    v1::GetRunRequest request;
    request.set_run_id(run_id);
    v1::GetRunResponse response;
    grpc::ClientContext context;
    stub->GetRun(&context, request, &response);
    return response.run();
  }

  testing::TempFolder folder_;

 private:
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

TEST_F(ClientTest, EstimatesAndScalarsReachTheServerAndFinishEndsTheRun) {
  const ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "whole"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16, .aligned = true});
  for (std::int64_t step = 0; step < 5; ++step) LogStep(run, probe, 10 * step);
  ASSERT_TRUE(run.Finish());

  const std::vector<v1::Estimate> estimates = Estimates(server.address(), "whole");
  ASSERT_THAT(estimates, SizeIs(5));
  EXPECT_EQ(estimates[4].step(), 40);
  EXPECT_EQ(estimates[4].points(), kRows);
  EXPECT_EQ(estimates[4].config().neighbors(), 16);
  EXPECT_TRUE(estimates[4].complete());
  EXPECT_TRUE(estimates[4].has_paired_change());
  const v1::Run seen = GetRun(server.address(), "whole");
  EXPECT_EQ(seen.state(), v1::RUN_STATE_FINISHED);
  EXPECT_EQ(seen.project(), "tests");
  EXPECT_EQ(run.stats().rows_durable, 5 * kRows);
  EXPECT_EQ(run.stats().queued_bytes, 0);
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(ClientTest, ARunStartedWithoutAServerIsCreatedWhenItComesUp) {
  const int port = FreePort();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  Run run = Run::Start(Options(address, "early"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  for (std::int64_t step = 0; step < 3; ++step) LogStep(run, probe, step);
  ASSERT_TRUE(Eventually([&] { return !warnings().empty(); }));
  EXPECT_FALSE(run.ShouldStop());

  const ServerProcess server(folder_.path(), port);
  EXPECT_TRUE(run.Finish());
  EXPECT_THAT(Estimates(address, "early"), SizeIs(3));
  EXPECT_THAT(warnings(), SizeIs(1)) << "each kind of trouble is told once";
  EXPECT_THAT(warnings()[0], HasSubstr(address));
}

TEST_F(ClientTest, LogTakesMicrosecondsWhateverTheServerDoes) {
  Run run = Run::Start(Options("127.0.0.1:" + std::to_string(FreePort()), "fast"));
  Probe probe = run.AddProbe({.name = "train/a"});
  const std::vector<float> cloud = Cloud(0, 128, 128);  // 64 KiB
  std::vector<double> micros;
  for (std::int64_t step = 0; step < 1000; ++step) {
    const auto start = steady_clock::now();
    probe.Log(cloud.data(), 128, 128, step);
    micros.push_back(
        std::chrono::duration<double, std::micro>(steady_clock::now() - start).count());
  }
  std::sort(micros.begin(), micros.end());
  RecordProperty("log_64KiB_microseconds_p50", std::to_string(micros[500]));
  RecordProperty("log_64KiB_microseconds_p99", std::to_string(micros[990]));
  EXPECT_LT(micros[500], 1000) << "the median, on a busy machine";
}

TEST_F(ClientTest, KillingTheServerChangesNoEstimate) {
  testing::TempFolder other;
  std::vector<double> uninterrupted;
  {
    const ServerProcess server(other.path(), 0);
    Run run = Run::Start(Options(server.address(), "steady"));
    Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
    for (std::int64_t step = 0; step < 30; ++step) LogStep(run, probe, step);
    ASSERT_TRUE(run.Finish());
    for (const v1::Estimate& e : Estimates(server.address(), "steady")) {
      uninterrupted.push_back(e.mean());
    }
  }
  const int port = FreePort();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  Run run = Run::Start(Options(address, "killed"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  for (std::int64_t step = 0; step < 30; step += 10) {
    ServerProcess server(folder_.path(), port);
    for (std::int64_t s = step; s < step + 10; ++s) LogStep(run, probe, s);
    // Something of this life is stored, other things are under way.
    const std::int64_t some = (step + 1) * kRows;
    ASSERT_TRUE(Eventually([&] { return run.stats().rows_durable >= some; }));
    server.Kill();
  }
  const ServerProcess server(folder_.path(), port);
  ASSERT_TRUE(run.Finish());
  const std::vector<v1::Estimate> estimates = Estimates(address, "killed");
  ASSERT_THAT(estimates, SizeIs(30));
  for (std::size_t i = 0; i < estimates.size(); ++i) {
    EXPECT_EQ(estimates[i].step(), static_cast<std::int64_t>(i));
    EXPECT_DOUBLE_EQ(estimates[i].mean(), uninterrupted[i]);
    EXPECT_TRUE(estimates[i].complete());
  }
  EXPECT_GE(run.stats().connections, 3);
}

TEST_F(ClientTest, AFullQueueDropsTheNewestAndTheEstimateSaysSo) {
  const int port = FreePort();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  RunOptions options = Options(address, "full");
  options.queue_bytes = 3 * kRows * kDim * 4 / 2;
  Run run = Run::Start(std::move(options));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  const std::vector<float> cloud = Cloud(0);
  probe.Log(cloud.data(), kRows, kDim, 0);  // fits
  probe.Log(cloud.data(), kRows, kDim, 0);  // does not: one row carries the word of it
  probe.Log(cloud.data(), kRows, kDim, 1);  // dropped as a whole
  EXPECT_EQ(run.stats().rows_dropped, 2 * kRows - 1);
  EXPECT_THAT(warnings(), Contains(HasSubstr("dropped")));

  const ServerProcess server(folder_.path(), port);
  ASSERT_TRUE(Eventually([&] { return run.stats().rows_durable == kRows + 1; }));
  LogStep(run, probe, 2);
  ASSERT_TRUE(run.Finish());
  const std::vector<v1::Estimate> estimates = Estimates(address, "full");
  ASSERT_THAT(estimates, SizeIs(2)) << "step 1 is a gap";
  EXPECT_FALSE(estimates[0].complete());
  EXPECT_THAT(estimates[0].incomplete_reason(), HasSubstr(std::to_string(kRows - 1)));
  EXPECT_EQ(estimates[1].step(), 2);
  EXPECT_TRUE(estimates[1].complete());
}

TEST_F(ClientTest, AFrozenServerOnlyDelays) {
  ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "frozen"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  LogStep(run, probe, 0);
  ASSERT_TRUE(Eventually([&] { return run.stats().rows_durable == kRows; }));
  server.Freeze();
  const auto start = steady_clock::now();
  for (std::int64_t step = 1; step < 200; ++step) LogStep(run, probe, step);
  EXPECT_LT(steady_clock::now() - start, seconds(5));
  EXPECT_GT(run.stats().queued_bytes, 0);
  server.Thaw();
  ASSERT_TRUE(run.Finish());
  EXPECT_THAT(Estimates(server.address(), "frozen"), SizeIs(200));
}

TEST_F(ClientTest, ABatchBeyondTheServersLimitIsSplit) {
  const ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "large"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 8, .queries = 10});
  const int rows = 5000;
  const int dim = 1024;  // 20 MB; the server takes 16 MiB
  const std::vector<float> cloud = Cloud(0, rows, dim);
  probe.Log(cloud.data(), rows, dim, 0, {.snapshot_end = true});
  ASSERT_TRUE(run.Finish());
  EXPECT_EQ(run.stats().items_rejected, 0);
  const std::vector<v1::Estimate> estimates = Estimates(server.address(), "large");
  ASSERT_THAT(estimates, SizeIs(1));
  EXPECT_EQ(estimates[0].rows(), rows);
  EXPECT_TRUE(estimates[0].complete());
}

// Rows that are all equal: `collapsed` fires at once.
void Collapse(Run& run, Probe& probe) {
  const std::vector<float> ones(kRows * kDim, 1.0F);
  for (std::int64_t step = 0; step < 12; ++step) {
    probe.Log(ones.data(), kRows, kDim, step, {.snapshot_end = true});
    run.Log({{"train/loss", 1.0}}, step);
  }
}

TEST_F(ClientTest, ADecisionToStopReachesTheJobWhileItTrains) {
  const ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "stops"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  Collapse(run, probe);
  ASSERT_TRUE(Eventually([&] { return run.ShouldStop(); }));
  EXPECT_THAT(run.decision().signals, Contains("collapsed"));
  EXPECT_THAT(run.decision().reason, HasSubstr("collapsed"));
  run.Log({{"epoch/loss", 1.0}}, 1);
  EXPECT_TRUE(run.ShouldStop()) << "a number that counts epochs is no way back";
  EXPECT_TRUE(run.Finish());
  EXPECT_TRUE(run.ShouldStop());
}

TEST_F(ClientTest, UnderShadowTheJobIsNeverStopped) {
  const ServerProcess server(folder_.path(), 0);
  RunOptions options = Options(server.address(), "shadow");
  options.policy.mode = PolicyMode::kShadow;
  Run run = Run::Start(std::move(options));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  Collapse(run, probe);
  ASSERT_TRUE(run.Finish());
  EXPECT_FALSE(run.ShouldStop());
  const v1::Run seen = GetRun(server.address(), "shadow");
  ASSERT_EQ(seen.signals_size(), 1);
  EXPECT_EQ(seen.signals(0).state(), v1::SIGNAL_STATE_FIRING);
}

TEST_F(ClientTest, AnEnforcedStopStandsUntilTheJobGoesBackToACheckpoint) {
  const ServerProcess server(folder_.path(), 0);
  RunOptions options = Options(server.address(), "enforced");
  options.policy.mode = PolicyMode::kEnforced;
  Run first = Run::Start(options);
  Probe probe = first.AddProbe({.name = "train/a", .neighbors = 16});
  Collapse(first, probe);
  ASSERT_TRUE(Eventually([&] { return first.ShouldStop(); }));
  EXPECT_EQ(first.decision().mode, PolicyMode::kEnforced);
  for (std::int64_t step = 12; step < 30; ++step) LogStep(first, probe, step);
  Run again = Run::Start(options);  // the job was restarted
  ASSERT_TRUE(Eventually([&] { return again.decision().stop; }));
  EXPECT_FALSE(again.ShouldStop()) << "it has not said yet where it goes on";
  Probe same = again.AddProbe({.name = "train/a", .neighbors = 16});
  LogStep(again, same, 1);
  EXPECT_FALSE(again.ShouldStop());
  ASSERT_TRUE(Eventually([&] { return !again.decision().stop; }));
  EXPECT_TRUE(again.Finish());
}

TEST_F(ClientTest, ARejectedBatchLosesNothingElse) {
  const ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "rejected"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  LogStep(run, probe, 0);
  const std::vector<float> cloud = Cloud(1);
  probe.Log(cloud.data(), kRows / 2, 2 * kDim, 1, {.snapshot_end = true});  // another dim
  probe.Log(cloud.data(), kRows, kDim, 1, {.sample_ids = {1, 2, 3}});       // not an id per row
  LogStep(run, probe, 2);
  ASSERT_TRUE(run.Finish());
  EXPECT_THAT(Estimates(server.address(), "rejected"), SizeIs(2));
  EXPECT_EQ(run.stats().rows_rejected, kRows / 2);
  EXPECT_EQ(run.stats().rows_dropped, kRows);
  EXPECT_THAT(warnings(), Contains(HasSubstr("dim")));
  EXPECT_THAT(warnings(), Contains(HasSubstr("3 sample ids for")));
}

TEST_F(ClientTest, AnIdThatIsNoneIsRefusedInWords) {
  const ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "two\nlines"));
  EXPECT_FALSE(run.Finish(seconds(60)));
  EXPECT_THAT(warnings(), Contains(HasSubstr("run_id")));
}

TEST_F(ClientTest, AnEndedRunIsNotWrittenToAgain) {
  const ServerProcess server(folder_.path(), 0);
  EXPECT_TRUE(Run::Start(Options(server.address(), "ended")).Finish());
  Run again = Run::Start(Options(server.address(), "ended"));
  Probe probe = again.AddProbe({.name = "train/a"});
  ASSERT_TRUE(Eventually([&] { return !warnings().empty(); }));
  EXPECT_THAT(warnings()[0], HasSubstr("ended"));
  LogStep(again, probe, 0);
  EXPECT_EQ(again.stats().rows_dropped, kRows);
  EXPECT_EQ(again.stats().queued_bytes, 0);
  EXPECT_FALSE(again.Finish());
}

TEST_F(ClientTest, AJobThatStartsAgainGoesOnWithItsRun) {
  const ServerProcess server(folder_.path(), 0);
  {
    Run run = Run::Start(Options(server.address(), "resumed"));
    Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
    for (std::int64_t step = 0; step < 4; ++step) LogStep(run, probe, step);
    ASSERT_TRUE(Eventually([&] { return run.stats().queued_bytes == 0; }));
  }  // as if it were killed: no Finish
  Run run = Run::Start(Options(server.address(), "resumed"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  for (std::int64_t step = 2; step < 6; ++step) LogStep(run, probe, step);  // from a checkpoint
  ASSERT_TRUE(run.Finish());
  EXPECT_THAT(Estimates(server.address(), "resumed"), SizeIs(6));
}

TEST_F(ClientTest, AForkedChildSendsNothingAndHarmsNothing) {
  const ServerProcess server(folder_.path(), 0);
  Run run = Run::Start(Options(server.address(), "forked"));
  Probe probe = run.AddProbe({.name = "train/a", .neighbors = 16});
  LogStep(run, probe, 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    LogStep(run, probe, 1);
    const bool finished = run.Finish(seconds(1));
    { const Run gone = std::move(run); }
    _exit(finished ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  LogStep(run, probe, 2);
  ASSERT_TRUE(run.Finish());
  EXPECT_THAT(Estimates(server.address(), "forked"), SizeIs(2));
}

TEST_F(ClientTest, FinishGivesUpInTimeWhereThereIsNoServer) {
  Run run = Run::Start(Options("127.0.0.1:" + std::to_string(FreePort()), "nobody"));
  Probe probe = run.AddProbe({.name = "train/a"});
  LogStep(run, probe, 0);
  const auto start = steady_clock::now();
  EXPECT_FALSE(run.Finish(milliseconds(300)));
  EXPECT_LT(steady_clock::now() - start, seconds(10));
  EXPECT_THAT(warnings(), Contains(HasSubstr("not finished")));
  LogStep(run, probe, 1);  // accepted no more, and harmless
  EXPECT_EQ(run.stats().rows_dropped, 2 * kRows);
}

TEST_F(ClientTest, AWarningThatThrowsIsSwallowed) {
  RunOptions options;
  options.server = "127.0.0.1:" + std::to_string(FreePort());
  options.queue_bytes = 10;
  options.on_warning = [](const std::string& warning) { throw warning; };
  Run run = Run::Start(std::move(options));
  Probe probe = run.AddProbe({.name = "train/a"});
  LogStep(run, probe, 0);
  EXPECT_EQ(run.stats().rows_dropped, kRows);
  EXPECT_EQ(run.stats().scalars_dropped, 1);
}

}  // namespace
}  // namespace dimwatch
