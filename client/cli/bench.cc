// dimwatch bench: load on a server, as training jobs make it.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/json.h"

namespace dimwatch::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Options {
  ServerOptions server;
  int runs = 1;
  int probes = 1;
  int rows = 1024;
  int dim = 768;
  std::string dtype = "f32";
  double seconds = 10;
  double interval = 0;
  int in_flight = 16;
  int window = 10'000;
  int queries = 64;
  bool json = false;
};

struct Result {
  std::int64_t rows = 0;
  std::int64_t rejected_rows = 0;
  std::int64_t estimates = 0;
  double seconds = 0;
  std::vector<double> ack_seconds;  // from the write of a batch to its durable acknowledgement
};

v1::DType DTypeOf(const std::string& name) {
  if (name == "f16") return v1::DTYPE_F16;
  if (name == "bf16") return v1::DTYPE_BF16;
  return name == "f64" ? v1::DTYPE_F64 : v1::DTYPE_F32;
}

std::size_t SizeOf(v1::DType dtype) {
  if (dtype == v1::DTYPE_F64) return 8;
  return dtype == v1::DTYPE_F32 ? 4 : 2;
}

// Components as random bytes would make NaNs; these are finite in every type: the exponent's top
// bit is clear.
std::string RandomComponents(std::size_t count, v1::DType dtype) {
  std::mt19937 random(1);
  const std::size_t size = SizeOf(dtype);
  std::string bytes(count * size, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(random());
    bytes[i] = static_cast<char>(i % size == size - 1 ? (byte & 0x81) | 0x38 : byte);
  }
  return bytes;
}

// One run on one stream.
class Job {
 public:
  Job(const Options& options, const Server& server, std::string run_id)
      : options_(options), run_id_(std::move(run_id)), server_(server) {}

  absl::Status Run() {
    if (absl::Status status = Create(); !status.ok()) return status;
    grpc::ClientContext context;
    server_.Introduce(context, run_id_);
    const auto stream = server_.ingest->Ingest(&context);
    v1::IngestRequest hello;
    hello.mutable_hello()->set_run_id(run_id_);
    hello.mutable_hello()->set_session_epoch(1);
    v1::IngestResponse welcome;
    if (stream->Write(hello) && stream->Read(&welcome)) {
      const auto start = SteadyClock::now();
      std::thread reader([&] { Read(*stream); });
      Write(*stream, start);
      stream->WritesDone();
      reader.join();
      result_.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    }
    const absl::Status status = server_.ToStatus(stream->Finish());
    const absl::Status deleted = Delete();
    return status.ok() ? deleted : status;
  }

  const Result& result() const { return result_; }

 private:
  using Stream = grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>;

  static std::string ProbeName(int probe) { return "bench/" + std::to_string(probe); }

  absl::Status Create() {
    v1::CreateRunRequest request;
    request.mutable_run()->set_run_id(run_id_);
    request.mutable_run()->set_project("bench");
    for (int probe = 0; probe < options_.probes; ++probe) {
      v1::ProbeConfig& config = *request.mutable_run()->mutable_config()->add_probes();
      config.set_probe(ProbeName(probe));
      config.set_window(v1::WINDOW_KIND_ROLLING);
      config.set_window_points(options_.window);
      config.set_estimate_every(options_.window);
      config.mutable_estimator()->set_queries(options_.queries);
    }
    return Call(server_, *server_.runs, &v1::RunService::Stub::CreateRun, request, run_id_)
        .status();
  }

  absl::Status Delete() {
    v1::DeleteRunRequest request;
    request.set_run_id(run_id_);
    return Call(server_, *server_.runs, &v1::RunService::Stub::DeleteRun, request, run_id_)
        .status();
  }

  void Write(Stream& stream, SteadyClock::time_point start) {
    const v1::DType dtype = DTypeOf(options_.dtype);
    v1::IngestRequest item;
    v1::SampleBatch& batch = *item.mutable_samples();
    batch.set_dtype(dtype);
    batch.set_rows(options_.rows);
    batch.set_dim(options_.dim);
    batch.set_data(RandomComponents(
        static_cast<std::size_t>(options_.rows) * static_cast<std::size_t>(options_.dim), dtype));
    const auto interval = std::chrono::duration_cast<SteadyClock::duration>(
        std::chrono::duration<double>(options_.interval));
    auto next = start;
    const auto end = start + std::chrono::duration<double>(options_.seconds);
    for (std::int64_t seq = 1; SteadyClock::now() < end; ++seq) {
      batch.set_seq(seq);
      batch.set_step(seq / options_.probes);
      batch.set_probe(ProbeName(static_cast<int>(seq % options_.probes)));
      if (!AwaitRoom()) return;
      {
        const std::lock_guard lock(mutex_);
        sent_[seq] = SteadyClock::now();
        result_.rows += options_.rows;
      }
      if (!stream.Write(item)) return;
      next += interval;
      std::this_thread::sleep_until(next);
    }
  }

  bool AwaitRoom() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] {
      return broken_ || sent_.size() < static_cast<std::size_t>(options_.in_flight);
    });
    return !broken_;
  }

  void Read(Stream& stream) {
    v1::IngestResponse event;
    while (stream.Read(&event)) {
      const auto now = SteadyClock::now();
      const std::lock_guard lock(mutex_);
      if (event.has_nack()) result_.rejected_rows += event.nack().rejected_rows();
      if (event.has_estimate()) ++result_.estimates;
      while (event.has_ack() && !sent_.empty() &&
             sent_.begin()->first <= event.ack().durable_seq()) {
        result_.ack_seconds.push_back(
            std::chrono::duration<double>(now - sent_.begin()->second).count());
        sent_.erase(sent_.begin());
      }
      if (event.has_nack()) sent_.erase(event.nack().seq());
      room_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    broken_ = true;
    room_.notify_all();
  }

  const Options& options_;
  const std::string run_id_;
  const Server& server_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::map<std::int64_t, SteadyClock::time_point> sent_;  // guarded by mutex_
  bool broken_ = false;                                   // guarded by mutex_
  Result result_;                                         // guarded by mutex_ until Run returned
};

double Quantile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

void Print(const Options& options, Result& total) {
  std::sort(total.ack_seconds.begin(), total.ack_seconds.end());
  const double bytes = static_cast<double>(total.rows) * options.dim *
                       static_cast<double>(SizeOf(DTypeOf(options.dtype)));
  Json json;
  json["runs"] = options.runs;
  json["probes"] = options.probes;
  json["rows_per_batch"] = options.rows;
  json["dim"] = options.dim;
  json["dtype"] = options.dtype;
  json["seconds"] = total.seconds;
  json["rows"] = total.rows;
  json["rows_rejected"] = total.rejected_rows;
  json["rows_per_second"] = static_cast<double>(total.rows) / total.seconds;
  json["bytes_per_second"] = bytes / total.seconds;
  json["estimates"] = total.estimates;
  json["ack_seconds_p50"] = Quantile(total.ack_seconds, 0.5);
  json["ack_seconds_p99"] = Quantile(total.ack_seconds, 0.99);
  if (options.json) {
    std::printf("%s\n", json.dump().c_str());
    return;
  }
  for (const auto& [key, value] : json.items()) {
    std::printf("%-16s  %s\n", key.c_str(),
                value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  }
}

absl::Status RunBench(const Options& options) {
  const absl::StatusOr<Server> server = Connect(options.server);
  if (!server.ok()) return server.status();
  const std::string prefix = "bench-" + std::to_string(std::random_device{}()) + "-";
  std::vector<std::unique_ptr<Job>> jobs;
  std::vector<absl::Status> statuses(static_cast<std::size_t>(options.runs));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    jobs.push_back(std::make_unique<Job>(options, *server, prefix + std::to_string(i)));
    threads.emplace_back([&statuses, i, job = jobs.back().get()] { statuses[i] = job->Run(); });
  }
  for (std::thread& thread : threads) thread.join();
  Result total;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!statuses[i].ok()) return statuses[i];
    const Result& result = jobs[i]->result();
    total.rows += result.rows;
    total.rejected_rows += result.rejected_rows;
    total.estimates += result.estimates;
    total.seconds = std::max(total.seconds, result.seconds);
    total.ack_seconds.insert(total.ack_seconds.end(), result.ack_seconds.begin(),
                             result.ack_seconds.end());
  }
  Print(options, total);
  return absl::OkStatus();
}

}  // namespace

void AddBenchCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "bench", "Send random samples to a server and measure; the runs are deleted at the end");
  AddServerOptions(*command, options->server);
  const auto number = [command](const char* name, int& value, const char* help) {
    command->add_option(name, value, help)->check(CLI::PositiveNumber)->capture_default_str();
  };
  number("--runs", options->runs, "jobs at a time");
  number("--probes", options->probes, "probes of each");
  number("--rows", options->rows, "rows of a batch");
  number("--dim", options->dim, "components of a row");
  command->add_option("--dtype", options->dtype, "f32, f16, bf16 or f64")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "f64"}))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "how long to send")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--interval", options->interval,
                   "seconds from a run's batch to its next; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  number("--in-flight", options->in_flight, "batches of a run that wait for their acknowledgement");
  number("--window", options->window, "rolling window, estimated each time it was filled anew");
  number("--queries", options->queries, "points averaged over in an estimate");
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return RunBench(*options); }; });
}

}  // namespace dimwatch::cli
