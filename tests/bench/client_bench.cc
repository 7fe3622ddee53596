// What Probe::Log of 4 096 x 768 float16 costs the thread that trains, for states that a server can
// be in, against a copy of the same array; client.py is the same for the Python client.
//
// Copies and logs take turns, 20 ms apart; the copies keep as many bytes as the queue. A full queue
// drops the newest without copying it: `median_ms` and `p99_ms` are of all logs, `taken_median_ms`
// of those that were taken, and `ratio` is these over the copies.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "dimwatch/client.h"
#include "tests/client/hostile_server.h"
#include "tests/client/server_process.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

constexpr std::int64_t kRows = 4096;
constexpr std::int64_t kDim = 768;
constexpr std::int64_t kQueueBytes = 128 << 20;
constexpr std::chrono::milliseconds kPause{20};
using Cloud = std::vector<std::uint16_t>;

template <typename Call>
double Milliseconds(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double Quantile(std::vector<double> values, double share) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void MeasureLog(benchmark::State& state, const std::string& server) {
  dimwatch::Run run =
      dimwatch::Run::Start({.server = server, .project = "bench", .queue_bytes = kQueueBytes});
  Probe probe = run.AddProbe({.name = "train/last", .neighbors = 16, .max_points = 200});
  const Cloud cloud(kRows * kDim, 0x3c00);
  std::deque<Cloud> kept;
  std::vector<double> copies;
  std::vector<double> logs;
  std::vector<double> taken;
  std::int64_t step = 0;
  for (auto iteration : state) {
    std::this_thread::sleep_for(kPause);
    copies.push_back(Milliseconds([&] { kept.push_back(cloud); }));
    if (kept.size() > kQueueBytes / (2 * cloud.size())) kept.pop_front();
    const std::int64_t dropped = run.stats().rows_dropped;
    logs.push_back(
        Milliseconds([&] { probe.Log(cloud.data(), kRows, kDim, step++, DType::kF16); }));
    if (run.stats().rows_dropped == dropped) taken.push_back(logs.back());
    state.SetIterationTime(logs.back() / 1e3);
  }
  state.counters["median_ms"] = Quantile(logs, 0.5);
  state.counters["p99_ms"] = Quantile(logs, 0.99);
  state.counters["taken_median_ms"] = Quantile(taken, 0.5);
  state.counters["ratio"] = Quantile(taken, 0.5) / Quantile(copies, 0.5);
  state.counters["dropped"] =
      static_cast<double>(run.stats().rows_dropped) / static_cast<double>(run.stats().rows_logged);
}

void Healthy(benchmark::State& state) {
  const testing::TempFolder folder;
  const ServerProcess server(folder.path(), 0);
  MeasureLog(state, server.address());
}
void Frozen(benchmark::State& state) {
  const testing::TempFolder folder;
  ServerProcess server(folder.path(), 0);
  server.Freeze();
  MeasureLog(state, server.address());
}
void Dead(benchmark::State& state) { MeasureLog(state, "127.0.0.1:" + std::to_string(FreePort())); }
void Hung(benchmark::State& state) {
  const HostileServer server(HostileServer::Kind::kHung);
  MeasureLog(state, server.address());
}
void Garbage(benchmark::State& state) {
  const HostileServer server(HostileServer::Kind::kGarbage);
  MeasureLog(state, server.address());
}

BENCHMARK(Healthy)->Iterations(200)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Dead)->Iterations(200)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Hung)->Iterations(200)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Garbage)->Iterations(200)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Frozen)->Iterations(200)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dimwatch
