// The sender's calls to the server: the run's creation and end, and one stream at a time.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "client/cpp/sender.h"

namespace dimwatch {
inline namespace client_v1 {
namespace {

using std::chrono::seconds;

constexpr seconds kCallTimeout{10};
constexpr seconds kWelcomeTimeout{30};
constexpr seconds kHalfCloseTimeout{5};
// Without a log for so long, the memory of earlier ones goes back.
constexpr seconds kIdle{10};
// Where a server does not say what it takes.
constexpr std::int64_t kDefaultMaxBatchBytes = 4 << 20;

// gRPC ends the process over metadata that it cannot send. The server refuses such an id in words.
bool CanBeMetadata(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

Sender::Call::Call(Sender& sender, grpc::ClientContext& context) : sender_(sender) {
  if (CanBeMetadata(sender.run_id_)) context.AddMetadata("dimwatch-run", sender.run_id_);
  client_internal::ShowToken(sender.endpoint_, context);
  const std::lock_guard lock(sender.mutex_);
  live_ = sender.LiveLocked();
  if (live_) sender.context_ = &context;
}

Sender::Call::~Call() {
  const std::lock_guard lock(sender_.mutex_);
  sender_.context_ = nullptr;
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
  const Call call(*this, context);
  if (!call) return false;
  const grpc::Status status = runs_->CreateRun(&context, request, &response);
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
  const Call call(*this, context);
  if (!call) return;
  const grpc::Status status = runs_->FinishRun(&context, request, &response);
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
  const Call call(*this, context);
  if (!call) return false;
  {
    const std::lock_guard lock(mutex_);
    stream_broken_ = welcomed_ = false;
  }
  const std::unique_ptr<Stream> stream = ingest_->Ingest(&context);
  std::thread reader;
  Survive([&] {
    reader = std::thread([this, &stream] { ReadEvents(*stream); });
    WriteItems(*stream);
  });
  context.TryCancel();
  if (reader.joinable()) reader.join();
  const grpc::Status status = stream->Finish();
  bool welcomed = false;
  bool drained = false;
  {
    const std::lock_guard lock(mutex_);
    welcomed = welcomed_;
    drained = DrainedLocked();
    sending_.reset();
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
  std::string data;  // kept from message to message, as its memory is
  while (const client_internal::QueuedItem* const item = AwaitItem()) {
    if (!WriteItem(stream, *item, data)) return;
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

const client_internal::QueuedItem* Sender::AwaitItem() {
  std::unique_lock lock(mutex_);
  sending_.reset();
  while (!stream_broken_ && LiveLocked() && !DrainedLocked()) {
    sending_ = queue_.NextUnsent();
    if (sending_ != nullptr) return sending_.get();
    if (queue_.waiting()) {
      queue_.NumberNext(max_batch_bytes_);
    } else if (!queue_.has_spares()) {
      wake_.wait(lock);
    } else if (wake_.wait_for(lock, kIdle) == std::cv_status::timeout) {
      queue_.FreeSpares();
    }
  }
  return nullptr;
}

bool Sender::WriteItem(Stream& stream, const client_internal::QueuedItem& item, std::string& data) {
  if (item.data == nullptr) return stream.Write(item.message);
  v1::IngestRequest message = item.message;
  data.assign(item.data->block.data() + item.offset, static_cast<std::size_t>(item.size));
  message.mutable_samples()->mutable_data()->swap(data);
  const bool written = stream.Write(message);
  message.mutable_samples()->mutable_data()->swap(data);
  return written;
}

void Sender::ReadEvents(Stream& stream) {
  const bool read_all = Survive([&] {
    v1::IngestResponse event;
    while (stream.Read(&event)) Handle(event);
  });
  const std::lock_guard lock(mutex_);
  if (!read_all) context_->TryCancel();
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
  decision_.mode = static_cast<PolicyMode>(decision.mode());
  decision_.step = decision.step();
  decision_.reason = decision.reason();
  decision_.best_step.reset();
  if (decision.has_best_step()) decision_.best_step = decision.best_step();
  decision_.signals.assign(decision.signals().begin(), decision.signals().end());
  stop_step_.store(decision_.stop ? decision_.step : kNever, std::memory_order_relaxed);
}

}  // namespace client_v1
}  // namespace dimwatch
