#include "client/cpp/sender.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace dimwatch {
inline namespace client_v1 {
namespace {

using client_internal::BatchData;
using client_internal::DataBlock;
using client_internal::SendQueue;
using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLastBackoff{2000};
constexpr milliseconds kConnectTimeout{500};
// gRPC servers refuse pings more often than every five minutes.
constexpr int kKeepaliveMs = 330'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

grpc::ChannelArguments ChannelArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  return arguments;
}

// gRPC writes lines to stderr at every connection to a server that talks nonsense; we warn once.
void SilenceGrpc() {
  if (std::getenv("GRPC_VERBOSITY") != nullptr) return;
  gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
}

bool IsFinal(grpc::StatusCode code, bool welcomed) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return true;
    case grpc::StatusCode::NOT_FOUND:  // deleted while we were writing it
      return welcomed;
    default:
      return false;
  }
}

std::int64_t NanosecondsSince1970() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Null where there is no memory.
std::shared_ptr<BatchData> NewData(std::int64_t bytes) try {
  return std::make_shared<BatchData>(bytes);
} catch (const std::bad_alloc&) {
  return nullptr;
}

}  // namespace

Sender::Sender(client_internal::Endpoint endpoint, v1::Run run, std::int64_t queue_bytes,
               std::function<void(const std::string&)> on_warning)
    : endpoint_(std::move(endpoint)),
      run_id_(run.run_id()),
      epoch_(NanosecondsSince1970()),
      pid_(getpid()),
      on_warning_(std::move(on_warning)),
      run_(std::move(run)),
      queue_(queue_bytes) {
  SilenceGrpc();
  std::string problem;
  channel_ = client_internal::OpenChannel(endpoint_, ChannelArguments(), problem);
  if (channel_ == nullptr) {
    GiveUp(problem);
    return;
  }
  runs_ = v1::RunService::NewStub(channel_);
  ingest_ = v1::IngestService::NewStub(channel_);
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::system_error& error) {
    GiveUp(std::string("no thread to send from: ") + error.what());
  }
}

Sender::~Sender() { Close(); }

bool Sender::InForkedChild() const { return getpid() != pid_; }

void Sender::Declare(v1::ProbeConfig config) {
  if (InForkedChild()) return;
  v1::IngestRequest item;
  *item.mutable_declaration()->mutable_config() = config;
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kOpen) return;
  *run_.mutable_config()->add_probes() = std::move(config);
  queue_.Push({std::move(item)}, 0);
  wake_.notify_all();
}

void Sender::LogSamples(v1::IngestRequest batch, const void* data, std::int64_t bytes) {
  if (InForkedChild()) return;
  const std::int64_t rows = batch.samples().rows();
  const std::int64_t taken = Take(std::move(batch), data, bytes);
  const std::lock_guard lock(mutex_);
  stats_.rows_logged += rows;
  stats_.rows_dropped += rows - taken;
}

std::int64_t Sender::Take(v1::IngestRequest batch, const void* data, std::int64_t bytes) {
  std::int64_t reserved = SendQueue::BytesOf(batch) + DataBlock::SizeFor(bytes);
  std::int64_t rows = batch.samples().rows();
  std::shared_ptr<BatchData> copy;
  bool has_room = false;
  {
    const std::lock_guard lock(mutex_);
    ReachedLocked("probe " + batch.samples().probe(), batch.samples().step());
    if (phase_ != Phase::kOpen) return 0;
    copy = queue_.TakeSpare(bytes);
    has_room = queue_.Reserve(reserved);
  }
  if (has_room && copy == nullptr) copy = NewData(bytes);
  if (!has_room || copy == nullptr) {
    if (!LeaveOneRow(*batch.mutable_samples(), has_room ? reserved : 0)) return 0;
    bytes /= std::exchange(rows, 1);
    reserved = 0;
    copy = std::make_shared<BatchData>(bytes);
  }
  std::copy_n(static_cast<const char*>(data), bytes, copy->block.data());
  const std::lock_guard lock(mutex_);
  if (!LiveLocked()) return 0;  // ended while the data was copied
  queue_.Push({std::move(batch), std::move(copy), 0, bytes}, reserved);
  wake_.notify_all();
  return rows;
}

bool Sender::LeaveOneRow(v1::SampleBatch& batch, std::int64_t reserved) {
  const std::int64_t rows = batch.rows();
  bool leaves_one = false;
  {
    const std::lock_guard lock(mutex_);
    if (!LiveLocked()) return false;
    queue_.Release(reserved);
    leaves_one = rows > 1 && queue_.NeedsWord(batch.probe(), batch.step());
    queue_.NoteDropped(batch.probe(), batch.step(), leaves_one ? rows - 1 : rows);
  }
  if (leaves_one) {
    batch.set_rows(1);
    batch.mutable_sample_ids()->Truncate(std::min(1, batch.sample_ids_size()));
  }
  if (reserved > 0) {
    WarnOfMemory();
  } else {
    Warn("dropped", "dropped " + std::to_string(rows - (leaves_one ? 1 : 0)) + " rows of probe '" +
                        batch.probe() + "' at step " + std::to_string(batch.step()) +
                        ": the queue is full; RunStats::rows_dropped goes on counting");
  }
  return leaves_one;
}

void Sender::ReachedLocked(const std::string& series, std::int64_t step) {
  std::int64_t& last = last_steps_.try_emplace(series, step).first->second;
  const bool went_back = step < last;
  last = step;
  step_.store(went_back ? step : std::max(step_.load(std::memory_order_relaxed), step),
              std::memory_order_relaxed);
}

void Sender::Refuse(const std::string& probe, std::int64_t step, std::int64_t rows,
                    const std::string& why) {
  if (InForkedChild()) return;
  {
    const std::lock_guard lock(mutex_);
    stats_.rows_logged += rows;
    stats_.rows_dropped += rows;
  }
  Warn("invalid", "did not take a batch of probe '" + probe + "' at step " + std::to_string(step) +
                      ": " + why);
}

void Sender::LogScalars(v1::IngestRequest scalars) {
  if (InForkedChild()) return;
  const std::int64_t bytes = SendQueue::BytesOf(scalars);
  const std::lock_guard lock(mutex_);
  for (const auto& [name, value] : scalars.scalars().values()) {
    ReachedLocked("scalar " + name, scalars.scalars().step());
  }
  if (phase_ != Phase::kOpen || !queue_.Reserve(bytes)) {
    ++stats_.scalars_dropped;
    return;
  }
  queue_.Push({std::move(scalars)}, bytes);
  wake_.notify_all();
}

void Sender::Lose(std::int64_t rows, std::int64_t scalars) noexcept {
  if (InForkedChild()) return;
  {
    const std::lock_guard lock(mutex_);
    stats_.rows_logged += rows;
    stats_.rows_dropped += rows;
    stats_.scalars_dropped += scalars;
  }
  WarnOfMemory();
}

bool Sender::Finish(milliseconds timeout, bool failed) {
  if (InForkedChild()) return false;
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kOpen) {
    phase_ = Phase::kFinishing;
    failed_ = failed;
    finish_by_ = Clock::now() + timeout;
    wake_.notify_all();
  }
  wake_.wait_until(lock, finish_by_, [this] { return phase_ != Phase::kFinishing; });
  const bool finished = phase_ == Phase::kFinished;
  const bool timed_out = phase_ == Phase::kFinishing;
  lock.unlock();
  if (timed_out) {
    Warn("finish", "run '" + run_id_ + "' was not finished on " + endpoint_.server + " within " +
                       std::to_string(timeout.count()) + " ms; what is queued is lost");
  }
  Close();
  return finished;
}

void Sender::Close() {
  {
    const std::lock_guard lock(mutex_);
    if (LiveLocked()) {
      stats_.rows_dropped += queue_.Clear();
      phase_ = Phase::kClosed;
    }
    if (context_ != nullptr) context_->TryCancel();
    wake_.notify_all();
  }
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

Decision Sender::decision() const {
  if (InForkedChild()) return {};
  const std::lock_guard lock(mutex_);
  return decision_;
}

RunStats Sender::stats() const {
  if (InForkedChild()) return {};
  const std::lock_guard lock(mutex_);
  RunStats stats = stats_;
  stats.queued_bytes = queue_.bytes();
  return stats;
}

void Sender::Loop() {
  milliseconds backoff = kFirstBackoff;
  std::unique_lock lock(mutex_);
  while (LiveLocked()) {
    const Phase phase = phase_;
    const bool only_finish = DrainedLocked() && created_;
    lock.unlock();
    // Our own pauses are long enough: the channel need not add its own. And between calls nothing
    // drives its connecting, so wait for it here.
    grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
    channel_->WaitForConnected(std::chrono::system_clock::now() + kConnectTimeout);
    Survive([&] {
      if (only_finish) {
        FinishRun();
      } else if (CreateRun() && RunStream()) {
        backoff = kFirstBackoff;
      }
    });
    lock.lock();
    if (DrainedLocked() && !only_finish) continue;
    wake_.wait_for(lock, backoff, [&] { return phase_ != phase; });
    backoff = std::min(2 * backoff, kLastBackoff);
  }
}

void Sender::HandleFailure(const grpc::Status& status, bool welcomed) {
  if (IsFinal(status.error_code(), welcomed)) {
    GiveUp(status.error_message());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!LiveLocked()) return;
  }
  Warn("connection", "no connection to " + endpoint_.server + " (" + status.error_message() +
                         "); everything is kept and sent later, up to the size of the queue");
}

void Sender::GiveUp(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (!LiveLocked()) return;
    phase_ = Phase::kRefused;
    stats_.rows_dropped += queue_.Clear();
    wake_.notify_all();
  }
  Warn("refused", "run '" + run_id_ + "' is not recorded any more: " + why);
}

void Sender::Warn(const std::string& kind, const std::string& message) {
  {
    const std::lock_guard lock(mutex_);
    if (!on_warning_ || !warned_.insert(kind).second) return;
  }
  try {
    on_warning_("dimwatch: " + message);
  } catch (...) {  // the callback's own affair: training goes on
  }
}

void Sender::WarnOfMemory() noexcept try {
  Warn("memory",
       "too little memory is left; what is logged is dropped, and RunStats goes on counting it");
} catch (const std::exception&) {  // not even for that
}

}  // namespace client_v1
}  // namespace dimwatch
