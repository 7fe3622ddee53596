#include "client/cpp/sender.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace dimwatch {
inline namespace client_v1 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kLastBackoff{2000};
constexpr milliseconds kConnectTimeout{500};
constexpr seconds kCallTimeout{10};
constexpr seconds kWelcomeTimeout{30};
constexpr seconds kHalfCloseTimeout{5};
// Where a server does not say what it takes.
constexpr std::int64_t kDefaultMaxBatchBytes = 4 << 20;
// gRPC servers refuse pings more often than every five minutes.
constexpr int kKeepaliveMs = 330'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
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

}  // namespace

Sender::Sender(std::string server, v1::Run run, std::int64_t queue_bytes,
               std::function<void(const std::string&)> on_warning)
    : server_(std::move(server)),
      run_id_(run.run_id()),
      epoch_(NanosecondsSince1970()),
      pid_(getpid()),
      on_warning_(std::move(on_warning)),
      channel_(MakeChannel(server_)),
      run_(std::move(run)),
      queue_(queue_bytes) {
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
  queue_.Push(std::move(item), 0);
  wake_.notify_all();
}

void Sender::LogSamples(v1::IngestRequest batch, const void* data, std::int64_t bytes) {
  if (InForkedChild()) return;
  const std::int64_t rows = batch.samples().rows();
  std::int64_t reserved = client_internal::SendQueue::BytesOf(batch) + bytes;
  std::int64_t dropped = 0;
  {
    const std::lock_guard lock(mutex_);
    stats_.rows_logged += rows;
    if (phase_ != Phase::kOpen) {
      stats_.rows_dropped += rows;
      return;
    }
    if (!queue_.Reserve(reserved)) {
      dropped = DropLocked(*batch.mutable_samples());
      reserved = 0;
    }
  }
  if (dropped > 0) {
    Warn("dropped", "dropped " + std::to_string(dropped) + " rows of probe '" +
                        batch.samples().probe() + "' at step " +
                        std::to_string(batch.samples().step()) +
                        ": the queue is full; RunStats::rows_dropped goes on counting");
  }
  if (dropped > 0 && dropped == rows) return;
  const std::int64_t kept_bytes = dropped == 0 ? bytes : bytes / rows;
  batch.mutable_samples()->set_data(data, static_cast<std::size_t>(kept_bytes));
  const std::lock_guard lock(mutex_);
  queue_.Push(std::move(batch), reserved);
  wake_.notify_all();
}

std::int64_t Sender::DropLocked(v1::SampleBatch& batch) {
  const bool keeps_one = batch.rows() > 1 && queue_.NeedsWord(batch.probe(), batch.step());
  const std::int64_t dropped = keeps_one ? batch.rows() - 1 : batch.rows();
  stats_.rows_dropped += dropped;
  queue_.NoteDropped(batch.probe(), batch.step(), dropped);
  if (keeps_one) {
    batch.set_rows(1);
    batch.mutable_sample_ids()->Truncate(std::min(1, batch.sample_ids_size()));
  }
  return dropped;
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
  const std::int64_t bytes = client_internal::SendQueue::BytesOf(scalars);
  const std::lock_guard lock(mutex_);
  if (phase_ != Phase::kOpen || !queue_.Reserve(bytes)) {
    ++stats_.scalars_dropped;
    return;
  }
  queue_.Push(std::move(scalars), bytes);
  wake_.notify_all();
}

bool Sender::Finish(milliseconds timeout, bool failed) {
  if (InForkedChild()) return false;
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kOpen) {
    phase_ = Phase::kFinishing;
    failed_ = failed;
    finish_by_ = Clock::now() + timeout;
    wake_.notify_all();
    wake_.wait_until(lock, finish_by_, [this] { return phase_ != Phase::kFinishing; });
  }
  const bool finished = phase_ == Phase::kFinished;
  const bool timed_out = phase_ == Phase::kFinishing;
  lock.unlock();
  if (timed_out) {
    Warn("finish", "run '" + run_id_ + "' was not finished on " + server_ + " within " +
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
    if (only_finish) {
      FinishRun();
    } else if (CreateRun() && RunStream()) {
      backoff = kFirstBackoff;
    }
    lock.lock();
    if (DrainedLocked() && !only_finish) continue;
    wake_.wait_for(lock, backoff, [&] { return phase_ != phase; });
    backoff = std::min(2 * backoff, kLastBackoff);
  }
}

bool Sender::Enter(grpc::ClientContext& context) {
  context.AddMetadata("dimwatch-run", run_id_);
  const std::lock_guard lock(mutex_);
  if (!LiveLocked()) return false;
  context_ = &context;
  return true;
}

void Sender::Leave() {
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
}

bool Sender::CreateRun() {
  v1::CreateRunRequest request;
  {
    const std::lock_guard lock(mutex_);
    *request.mutable_run() = run_;
  }
  v1::CreateRunResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
  if (!Enter(context)) return false;
  const grpc::Status status = runs_->CreateRun(&context, request, &response);
  Leave();
  if (!status.ok()) {
    HandleFailure(status, false);
    return false;
  }
  const std::lock_guard lock(mutex_);
  created_ = true;
  AdoptLocked(response.run().decision());
  return true;
}

void Sender::FinishRun() {
  v1::FinishRunRequest request;
  grpc::ClientContext context;
  {
    const std::lock_guard lock(mutex_);
    request.set_run_id(run_id_);
    request.set_failed(failed_);
    context.set_deadline(std::chrono::system_clock::now() + (finish_by_ - Clock::now()));
  }
  v1::FinishRunResponse response;
  if (!Enter(context)) return;
  const grpc::Status status = runs_->FinishRun(&context, request, &response);
  Leave();
  if (!status.ok()) {
    HandleFailure(status, true);
    return;
  }
  const std::lock_guard lock(mutex_);
  AdoptLocked(response.run().decision());
  if (phase_ == Phase::kFinishing) phase_ = Phase::kFinished;
  wake_.notify_all();
}

bool Sender::RunStream() {
  grpc::ClientContext context;
  if (!Enter(context)) return false;
  {
    const std::lock_guard lock(mutex_);
    stream_broken_ = welcomed_ = false;
  }
  const std::unique_ptr<Stream> stream = ingest_->Ingest(&context);
  std::thread reader([this, &stream] { ReadEvents(*stream); });
  WriteItems(*stream);
  context.TryCancel();
  reader.join();
  const grpc::Status status = stream->Finish();
  Leave();
  bool welcomed = false;
  bool drained = false;
  {
    const std::lock_guard lock(mutex_);
    welcomed = welcomed_;
    drained = DrainedLocked();
    stats_.connected = false;
  }
  if (!drained) HandleFailure(status, welcomed);
  return welcomed;
}

void Sender::WriteItems(Stream& stream) {
  v1::IngestRequest hello;
  hello.mutable_hello()->set_run_id(run_id_);
  hello.mutable_hello()->set_session_epoch(epoch_);
  if (!stream.Write(hello) || !AwaitWelcome()) return;
  while (const client_internal::SendQueue::Item item = AwaitItem()) {
    if (!stream.Write(*item)) return;
  }
  std::unique_lock lock(mutex_);
  if (stream_broken_ || !LiveLocked()) return;
  lock.unlock();
  stream.WritesDone();
  lock.lock();
  wake_.wait_for(lock, kHalfCloseTimeout, [this] { return stream_broken_ || !LiveLocked(); });
}

bool Sender::AwaitWelcome() {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, kWelcomeTimeout,
                 [this] { return welcomed_ || stream_broken_ || !LiveLocked(); });
  return welcomed_ && !stream_broken_;
}

client_internal::SendQueue::Item Sender::AwaitItem() {
  std::unique_lock lock(mutex_);
  while (!stream_broken_ && LiveLocked() && !DrainedLocked()) {
    if (client_internal::SendQueue::Item item = queue_.NextUnsent()) return item;
    if (queue_.waiting()) {
      NumberWaiting(lock);
    } else {
      wake_.wait(lock);
    }
  }
  return nullptr;
}

void Sender::NumberWaiting(std::unique_lock<std::mutex>& lock) {
  const std::unique_ptr<v1::IngestRequest> item = queue_.TakeWaiting();
  const std::int64_t max_bytes = max_batch_bytes_;
  lock.unlock();
  std::vector<v1::IngestRequest> parts = client_internal::SplitBatch(std::move(*item), max_bytes);
  lock.lock();
  if (LiveLocked()) queue_.Number(std::move(parts));
}

void Sender::ReadEvents(Stream& stream) {
  v1::IngestResponse event;
  while (stream.Read(&event)) Handle(event);
  const std::lock_guard lock(mutex_);
  stream_broken_ = true;
  wake_.notify_all();
}

void Sender::Handle(const v1::IngestResponse& event) {
  if (event.has_nack()) HandleNack(event.nack());
  const std::lock_guard lock(mutex_);
  if (event.has_welcome()) {
    const v1::Welcome& welcome = event.welcome();
    max_batch_bytes_ =
        welcome.max_batch_bytes() > 0 ? welcome.max_batch_bytes() : kDefaultMaxBatchBytes;
    stats_.rows_durable += queue_.Resume(welcome.resume_seq());
    stats_.connected = welcomed_ = true;
    ++stats_.connections;
    AdoptLocked(welcome.decision());
  } else if (event.has_ack()) {
    stats_.rows_durable += queue_.Acknowledge(event.ack().durable_seq());
  } else if (event.has_decision()) {
    AdoptLocked(event.decision());
  }
  wake_.notify_all();
}

void Sender::HandleNack(const v1::Nack& nack) {
  {
    const std::lock_guard lock(mutex_);
    queue_.Reject(nack.seq());
    ++stats_.items_rejected;
    stats_.rows_rejected += nack.rejected_rows();
  }
  Warn("rejected", "the server rejected an item: " + nack.message());
}

void Sender::AdoptLocked(const v1::Decision& decision) {
  if (decision.verdict() == v1::VERDICT_UNSPECIFIED) return;
  decision_.stop =
      decision.verdict() == v1::VERDICT_STOP && decision.mode() != v1::POLICY_MODE_SHADOW;
  decision_.step = decision.step();
  decision_.reason = decision.reason();
  decision_.best_step.reset();
  if (decision.has_best_step()) decision_.best_step = decision.best_step();
  decision_.signals.assign(decision.signals().begin(), decision.signals().end());
  should_stop_.store(decision_.stop, std::memory_order_relaxed);
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
  Warn("connection", "no connection to " + server_ + " (" + status.error_message() +
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

}  // namespace client_v1
}  // namespace dimwatch
