// How long a run waits for its estimates when another one never stops sending: from the offer of a
// small snapshot to its committed estimate, alone and beside a greedy run, on two threads.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/cli/system_clock.h"
#include "src/monitor/monitor.h"
#include "src/store/sqlite_store.h"
#include "tests/bench/work.h"
#include "tests/monitor/job.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

// Counts a run's estimates, and lets its job wait.
class Listener final : public SessionListener {
 public:
  void OnDurable(std::int64_t) override {}
  void OnChanges(const RunChanges& changes) override {
    const std::lock_guard lock(mutex_);
    estimates_ += changes.estimates.size();
    changed_.notify_all();
  }
  void OnRoom() override {}
  void OnEnd(absl::Status) override {}
  void Await(std::size_t estimates) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return estimates_ >= estimates; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t estimates_ = 0;  // guarded by mutex_
};

// A run that sends snapshots of one size.
class Job {
 public:
  Job(Monitor& monitor, const std::string& run_id, std::int64_t rows, std::int64_t dim) {
    ProbeSettings probe = testing::SnapshotProbe("train/last");
    probe.estimator.neighbors = 64;
    if (!monitor.CreateRun(testing::NewRun(run_id, {probe})).ok()) std::abort();
    session_ = std::move(monitor.OpenSession(run_id, 1, listener_)->session);
    next_ = testing::Snapshot(0, "train/last", 0, rows, dim);
  }
  void Send() {
    next_.seq = next_.step.value = ++sent_;
    if (!session_->Offer(next_).rejection.status.ok()) std::abort();
  }
  // Until all but `left` of what was sent is estimated.
  void Await(std::int64_t left) {
    listener_->Await(static_cast<std::size_t>(std::max<std::int64_t>(0, sent_ - left)));
  }

 private:
  std::shared_ptr<Listener> listener_ = std::make_shared<Listener>();
  std::unique_ptr<IngestSession> session_;
  SampleItem next_;
  std::int64_t sent_ = 0;
};

// Keeps two snapshots of 5 000 x 768 waiting.
class GreedyJob {
 public:
  GreedyJob(Monitor& monitor, int number)
      : job_(monitor, "greedy" + std::to_string(number), 5000, 768), thread_([this] {
          while (!stop_) {
            job_.Send();
            job_.Await(2);
          }
          job_.Await(0);
        }) {}
  ~GreedyJob() {
    stop_ = true;
    thread_.join();
  }

 private:
  Job job_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Between two small snapshots: a run that wants far less than its share.
constexpr std::chrono::milliseconds kPause(50);

double Quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// Argument: how many greedy runs there are.
void SmallSnapshot(benchmark::State& state) {
  const testing::TempFolder folder;
  const cli::SystemClock clock;
  const auto store = SqliteStore::Open(folder.path() / "dimwatch.db");
  ThreadPool pool(2, &clock);
  const auto monitor =
      Monitor::Start({.log_folder = folder.path() / "runs"}, **store, pool, clock, nullptr);
  Job small(**monitor, "small", 500, 64);
  std::vector<std::unique_ptr<GreedyJob>> greedy;
  for (int i = 0; i < state.range(0); ++i) {
    greedy.push_back(std::make_unique<GreedyJob>(**monitor, i));
  }
  std::vector<double> seconds;
  for (auto _ : state) {
    std::this_thread::sleep_for(kPause);
    seconds.push_back(bench::Time([&] {
                        small.Send();
                        small.Await(0);
                      }).wall);
    state.SetIterationTime(seconds.back());
  }
  std::ranges::sort(seconds);
  state.counters["p50_ms"] = 1e3 * Quantile(seconds, 0.5);
  state.counters["p99_ms"] = 1e3 * Quantile(seconds, 0.99);
  state.counters["max_ms"] = 1e3 * seconds.back();
}
BENCHMARK(SmallSnapshot)
    ->DenseRange(0, 3)
    ->UseManualTime()
    ->Iterations(200)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dimwatch
