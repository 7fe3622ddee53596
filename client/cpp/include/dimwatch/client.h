// The C++ client of dimwatch: hands embeddings and numbers of a training job to a dimwatch server,
// and the server's judgement back to the job.
//
//   dimwatch::Run run = dimwatch::Run::Start({.project = "emotion", .name = "bert-lr5e-5"});
//   dimwatch::Probe train = run.AddProbe({.name = "train/last", .neighbors = 128});
//   ...
//   train.Log(hidden.data(), rows, dim, step, {.snapshot_end = true});
//   run.Log({{"train/loss", loss}}, step);
//   if (run.ShouldStop()) break;
//   run.Finish();
//
// Promised to the training loop:
//  1. No call throws, but for Start and AddProbe where there is no memory or no thread for them.
//     Only Finish waits; Log takes microseconds and one copy of its data (docs/benchmarks.md: 6 MiB
//     in 0.35 ms, and 0.6 ms where that is memory touched for the first time).
//  2. Memory is bounded by RunOptions::queue_bytes, counted over everything that the server has not
//     yet stored, and over the memory of what it has, which is kept for the next batches and given
//     back after ten seconds without any; beside it there is one message of at most 4 MiB and what
//     gRPC needs. A batch that does not fit, or for which there is no memory, is dropped, and what
//     was accepted before is kept. Where a part of its step was accepted, one row more carries the
//     word of it to the server: that step's estimate then is incomplete and feeds no signal. A step
//     dropped as a whole is a gap.
//  3. A server that is absent, slow, hung or restarted only delays: items are kept until the server
//     has them durably, and sent again over a new connection. The run is created when the server
//     comes up.
//  4. In a forked child every call does nothing.
//  5. Nothing is printed: gRPC's own log is off unless GRPC_VERBOSITY is set.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dimwatch {
// Inline, so that users write dimwatch::Run; named, so that no symbol meets one of the core's.
inline namespace client_v1 {

class Sender;

// Type of a component, little-endian.
enum class DType { kF32 = 1, kF16 = 2, kBF16 = 3, kF64 = 4 };

// The values below that are called kDefault, 0 or empty leave the choice to the server.
enum class Split { kFromName = 0, kTrain = 1, kValidation = 2, kOther = 3 };
enum class Window { kSnapshot = 1, kRolling = 2 };
enum class Estimator { kDefault = 0, kTwoNn = 1, kTwoNnGlobal = 2, kMle = 3, kMom = 4, kGride = 5 };
enum class Cdf { kDefault = 0, kPaper = 1, kUpper = 2 };
enum class Fit { kDefault = 0, kOls = 1, kMl = 2 };
enum class Index { kDefault = 0, kAuto = 1, kExact = 2, kHnsw = 3 };

// One layer and split of the model; proto/dimwatch/v1/config.proto says what each field means.
struct ProbeOptions {
  std::string name = {};  // "train/layer.11"
  Split split = Split::kFromName;
  std::string layer = {};
  Window window = Window::kSnapshot;
  std::int32_t window_points = 0;   // kRolling only
  std::int32_t estimate_every = 0;  // kRolling only
  Estimator estimator = Estimator::kDefault;
  std::int32_t neighbors = 0;
  Cdf cdf = Cdf::kDefault;
  Fit fit = Fit::kDefault;
  Index index = Index::kDefault;
  std::int32_t max_points = 0;
  std::int64_t seed = 0;
  std::int32_t queries = 0;
  double target_standard_error = 0;  // a share of the mean, in place of `queries`
  double duplicate_tolerance = 0;
  bool aligned = false;          // row i of every snapshot embeds the same input
  std::int32_t scale_every = 0;  // a scale profile with the first of so many estimates; 0: never
};

// Parameters of the detectors.
struct SignalOptions {
  std::int32_t warmup = 0;
  std::int32_t patience = 0;
  std::int32_t cooldown = 0;
  double min_delta = 0;
  double z_score = 0;
  double heartbeat_seconds = 0;
  double collapse_lid = 0;
  double collapse_ratio = 0;
};

// What becomes of a STOP: advisory, the job decides whether to follow it; shadow, it is recorded
// and the job is not told; enforced, it stands until the job goes back to a checkpoint before it.
enum class PolicyMode { kDefault = 0, kAdvisory = 1, kShadow = 2, kEnforced = 3 };

// How signals become the decision.
struct PolicyOptions {
  PolicyMode mode = PolicyMode::kDefault;
  std::vector<std::string> stop_on = {};  // names of signals; {"none"}: never
  std::int32_t min_probes = 0;
  std::int64_t warmup_step = 0;
};

// PEM files, read once. Where one is given here or in the environment, or the server's address
// begins with "https://", the connection is encrypted.
struct TlsOptions {
  // Who may have signed the server's certificate; empty: $DIMWATCH_TLS_ROOTS, or the system's.
  std::string roots = {};
  // For a server that wants to know its clients; empty: $DIMWATCH_TLS_CLIENT_CERTIFICATE and
  // $DIMWATCH_TLS_CLIENT_KEY.
  std::string client_certificate = {};
  std::string client_key = {};
};

struct RunOptions {
  std::string server = {};  // "host:port"; empty: $DIMWATCH_SERVER, or 127.0.0.1:50051
  std::string project = {};
  std::string name = {};    // shown to people
  std::string run_id = {};  // empty: a new one; an existing one goes on where it stood
  std::map<std::string, std::string> labels = {};
  std::string user = {};
  std::string hyperparameters_json = {};  // a JSON object
  SignalOptions signals = {};
  PolicyOptions policy = {};
  std::int64_t queue_bytes = 256 << 20;
  // Told once about each kind of trouble (no connection, dropped, no memory, rejected, refused), by
  // the thread that meets it: a background thread, or the one in Log. What it throws is swallowed.
  std::function<void(const std::string& message)> on_warning = {};
  std::string token = {};  // for a server that uses tokens; empty: $DIMWATCH_TOKEN
  TlsOptions tls = {};
};

// What a batch carries besides its rows.
struct BatchOptions {
  // The last batch of its step: estimate it now, not when a later step comes.
  bool snapshot_end = false;
  std::int32_t rank = 0;
  std::vector<std::int64_t> sample_ids = {};  // empty, or one per row
};

// What the run's policy makes of its signals, as last heard of.
struct Decision {
  bool stop = false;                       // never true in the mode kShadow
  PolicyMode mode = PolicyMode::kDefault;  // of the policy in force; kDefault: not heard of yet
  std::int64_t step = 0;
  std::string reason = {};
  std::optional<std::int64_t> best_step = {};
  std::vector<std::string> signals = {};  // firing
};

// Counters since Start.
struct RunStats {
  bool connected = false;
  std::int64_t connections = 0;      // streams that the server welcomed
  std::int64_t rows_logged = 0;      // handed to Log
  std::int64_t rows_durable = 0;     // held safely by the server
  std::int64_t rows_dropped = 0;     // by the client: no room in the queue, no memory, or refused
  std::int64_t scalars_dropped = 0;  // calls of Run::Log, likewise
  std::int64_t rows_rejected = 0;    // by the server
  std::int64_t items_rejected = 0;   // declarations and scalars among them
  std::int64_t queued_bytes = 0;     // without the memory kept for the next batches
};

// A handle; copies name the same probe. Outliving its run is harmless: Log then does nothing.
// Thread-safe.
class Probe {
 public:
  // Hands over `rows` x `dim` components, row-major, without gaps, embedded at `step`; copies them.
  void Log(const float* data, std::int64_t rows, std::int64_t dim, std::int64_t step,
           const BatchOptions& batch = {});
  void Log(const double* data, std::int64_t rows, std::int64_t dim, std::int64_t step,
           const BatchOptions& batch = {});
  // The same for components of any type.
  void Log(const void* data, std::int64_t rows, std::int64_t dim, std::int64_t step, DType dtype,
           const BatchOptions& batch = {});

 private:
  friend class Run;
  Probe(std::shared_ptr<Sender> sender, std::string name);
  std::shared_ptr<Sender> sender_;
  std::string name_;
};

// One execution of a training job. Thread-safe but for moving and destroying.
class Run {
 public:
  // Starts a background thread and returns at once, whether there is a server or not.
  static Run Start(RunOptions options);
  // Without Finish before it, throws away what was not yet sent and leaves the run RUNNING: a job
  // with the same run_id may go on with it.
  ~Run();
  Run(Run&&) noexcept;
  Run& operator=(Run&&) noexcept;

  const std::string& run_id() const;

  // Declares a probe. Call it once per probe, before its first batch.
  Probe AddProbe(ProbeOptions options);
  // Reports numbers by name at a step.
  void Log(const std::map<std::string, double>& values, std::int64_t step);

  // Whether the decision in force says STOP. A local read. A STOP of a step that this job has not
  // reached, or not again since it went back to a checkpoint, is that of a course it has given up,
  // and does not count.
  bool ShouldStop() const;
  Decision decision() const;
  RunStats stats() const;

  // Waits until the server has everything and has judged it, and ends the run there; at most for
  // `timeout`. Returns whether that succeeded; decision() then is the final one. The run accepts
  // nothing more in either case.
  bool Finish(std::chrono::milliseconds timeout = std::chrono::seconds(60), bool failed = false);

 private:
  explicit Run(std::shared_ptr<Sender> sender);
  void Abandon();
  std::shared_ptr<Sender> sender_;
};

}  // namespace client_v1
}  // namespace dimwatch
