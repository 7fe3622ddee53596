// What durability costs a server: the rate at which it takes what jobs stream to it over gRPC, over
// that of the same server with a log and a store that keep nothing (forgetful_store.cc), in turns.
//
// Argument: jobs, each with a run and a stream of its own. `ratio` is of the rates, `server_ratio`
// of the servers' processor time for the same items.
#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "dimwatch/v1/ingest.grpc.pb.h"
#include "dimwatch/v1/run.grpc.pb.h"
#include "tests/client/server_process.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

constexpr int kRows = 256;
constexpr int kDim = 768;
constexpr int kBatches = 40;  // that repeat: a window

v1::ProbeConfig RollingProbe() {
  v1::ProbeConfig probe;
  probe.set_probe("train/last");
  probe.set_window(v1::WINDOW_KIND_ROLLING);
  probe.set_window_points(kBatches * kRows);
  probe.set_estimate_every(kBatches * kRows);  // as rarely as it may be
  probe.mutable_estimator()->set_neighbors(128);
  probe.mutable_estimator()->set_queries(64);
  probe.mutable_estimator()->set_index(v1::INDEX_KIND_EXACT);
  return probe;
}

// One run on one stream.
class Job {
 public:
  Job(const std::string& address, const std::string& run_id)
      : channel_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {
    v1::CreateRunRequest request;
    request.mutable_run()->set_run_id(run_id);
    request.mutable_run()->set_project("bench");
    *request.mutable_run()->mutable_config()->add_probes() = RollingProbe();
    v1::CreateRunResponse response;
    grpc::ClientContext context;
    good_ = v1::RunService::NewStub(channel_)->CreateRun(&context, request, &response).ok();
    stream_ = v1::IngestService::NewStub(channel_)->Ingest(&stream_context_);
    v1::IngestRequest hello;
    hello.mutable_hello()->set_run_id(run_id);
    hello.mutable_hello()->set_session_epoch(1);
    good_ = good_ && stream_->Write(hello);
  }
  ~Job() {
    stream_context_.TryCancel();
    stream_->Finish();
  }

  // Sends items, of which `in_flight` wait for their acknowledgement, until all are durable and,
  // where they are `estimated`, until the last one is: what keeps nothing acknowledges at once, and
  // has the work still before it. `make`(seq) gives the message.
  template <typename Make>
  void Send(int items, int in_flight, bool estimated, const Make& make) {
    const std::int64_t last = sent_ + items;
    while (good_ && (durable_ < last || (estimated && estimated_ < last))) {
      if (sent_ < last && sent_ - durable_ < in_flight) {
        good_ = stream_->Write(make(++sent_));
        continue;
      }
      v1::IngestResponse event;
      good_ = stream_->Read(&event) && !event.has_nack();
      if (event.has_ack()) durable_ = event.ack().durable_seq();
      if (event.has_estimate()) estimated_ = event.estimate().step();
    }
  }
  bool good() const { return good_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext stream_context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream_;
  std::int64_t sent_ = 0;
  std::int64_t durable_ = 0;
  std::int64_t estimated_ = 0;
  bool good_ = false;
};

struct Cost {
  double seconds = 0;
  double server_seconds = 0;  // of processor time
  Cost& operator+=(const Cost& other) {
    seconds += other.seconds;
    server_seconds += other.server_seconds;
    return *this;
  }
};

// A server with its jobs.
class Site {
 public:
  Site(const char* binary, std::int64_t jobs) : server_(folder_.path(), 0, binary) {
    for (std::int64_t i = 0; i < jobs; ++i) {
      jobs_.emplace_back(server_.address(), "job-" + std::to_string(i));
    }
  }

  // Calls `work`(job) for all jobs at the same time.
  template <typename Work>
  Cost Run(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    const double cpu_before = ServerSeconds();
    std::vector<std::thread> threads;
    for (Job& job : jobs_) threads.emplace_back([&] { work(job); });
    for (std::thread& thread : threads) thread.join();
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
            ServerSeconds() - cpu_before};
  }

  bool good() const { return std::ranges::all_of(jobs_, &Job::good); }

 private:
  double ServerSeconds() const {
    clockid_t clock{};
    timespec now{};
    clock_getcpuclockid(server_.pid(), &clock);
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
  }

  const testing::TempFolder folder_;
  const ServerProcess server_;
  std::deque<Job> jobs_;
};

template <typename Make>
void Compare(benchmark::State& state, int items, int in_flight, bool estimated, const Make& make) {
  Site durable(DIMWATCH_SERVER_BINARY, state.range(0));
  Site forgetful(DIMWATCH_FORGETFUL_SERVER_BINARY, state.range(0));
  const auto send = [&](Job& job) { job.Send(items, in_flight, estimated, make); };
  forgetful.Run(send);  // fills the windows
  durable.Run(send);
  Cost with, without;
  bool durable_first = false;
  for (auto _ : state) {
    durable_first = !durable_first;
    if (durable_first) with += durable.Run(send);
    without += forgetful.Run(send);
    if (!durable_first) with += durable.Run(send);
  }
  if (!durable.good() || !forgetful.good()) state.SkipWithError("a stream ended");
  const auto all = static_cast<double>(state.iterations() * state.range(0) * items);
  state.counters["ratio"] = without.seconds / with.seconds;
  state.counters["server_ratio"] = without.server_seconds / with.server_seconds;
  state.counters["items_per_second"] = all / with.seconds;
  state.counters["server_us"] = 1e6 * with.server_seconds / all;
  state.counters["forgetful_us"] = 1e6 * without.server_seconds / all;
}

// Of `seq`, among kBatches.
std::vector<v1::IngestRequest> MakeBatches() {
  std::mt19937 random(1);
  std::vector<v1::IngestRequest> batches(kBatches);
  for (v1::IngestRequest& item : batches) {
    v1::SampleBatch& batch = *item.mutable_samples();
    batch.set_probe("train/last");
    batch.set_dtype(v1::DTYPE_F16);
    batch.set_rows(kRows);
    batch.set_dim(kDim);
    for (int i = 0; i < kRows * kDim; ++i) {  // of magnitudes from 0.5 to 2
      const auto bits = static_cast<std::uint16_t>((random() & 0x87ff) | 0x3800);
      batch.mutable_data()->push_back(static_cast<char>(bits & 0xff));
      batch.mutable_data()->push_back(static_cast<char>(bits >> 8));
    }
  }
  return batches;
}

// 256 x 768 float16 into a rolling window of 40 of them, estimated once a window with 64 queries.
void Batches(benchmark::State& state) {
  const std::vector<v1::IngestRequest> batches = MakeBatches();
  Compare(state, kBatches, /*in_flight=*/16, /*estimated=*/true, [&](std::int64_t seq) {
    v1::IngestRequest item = batches[static_cast<std::size_t>(seq % kBatches)];
    item.mutable_samples()->set_seq(seq);
    item.mutable_samples()->set_step(seq);
    return item;
  });
}
BENCHMARK(Batches)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(5);

void Scalars(benchmark::State& state) {
  Compare(state, /*items=*/2000, /*in_flight=*/64, /*estimated=*/false, [](std::int64_t seq) {
    v1::IngestRequest item;
    item.mutable_scalars()->set_seq(seq);
    item.mutable_scalars()->set_step(seq);
    (*item.mutable_scalars()->mutable_values())["loss"] = 1.0 / static_cast<double>(seq);
    return item;
  });
}
BENCHMARK(Scalars)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(5);

}  // namespace
}  // namespace dimwatch
