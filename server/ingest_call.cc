#include "server/ingest_call.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/server_context.h"
#include "server/convert.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/request_id.h"
#include "src/base/names.h"
#include "src/base/quota_error.h"

namespace dimwatch::server {
namespace {

absl::StatusOr<v1::IngestRequest> Parse(grpc::ByteBuffer& bytes) {
  v1::IngestRequest request;
  const bool good =
      grpc::SerializationTraits<v1::IngestRequest>::Deserialize(&bytes, &request).ok();
  bytes.Clear();
  if (good) return request;
  return absl::InvalidArgumentError(
      "a message on the stream is not a dimwatch.v1.IngestRequest, or holds text that is not "
      "UTF-8; what was acknowledged before is kept");
}

}  // namespace

IngestCall::IngestCall(Principal principal, grpc::CallbackServerContext& grpc_context,
                       const IngestContext& context)
    : Stoppable(std::move(principal)),
      grpc_context_(grpc_context),
      context_(context),
      request_id_(RequestIdOf(grpc_context)) {}

IngestCall* IngestCall::Start(grpc::CallbackServerContext& grpc_context,
                              const IngestContext& context) {
  const absl::StatusOr<Principal> principal = context.access.Authenticate(grpc_context);
  std::shared_ptr<IngestCall> call(
      new IngestCall(principal.ok() ? *principal : Principal(), grpc_context, context));
  call->self_ = call;
  context.open.Add(call);
  const std::lock_guard lock(call->mutex_);
  if (!principal.ok()) call->EndWith(principal.status());
  call->ReadOn();
  return call.get();
}

void IngestCall::OnReadDone(bool ok) {
  if (ok) {
    context_.handlers.Submit([call = shared_from_this()] { call->Process(); });
    return;
  }
  const std::lock_guard lock(mutex_);
  reading_ = false;
  half_closed_ = true;
  if (grpc_context_.IsCancelled()) return;  // OnCancel ends it
  if (!greeted_) EndWith(absl::InvalidArgumentError("the stream ended without a Hello"));
  Acknowledge();
}

void IngestCall::Process() {
  absl::StatusOr<v1::IngestRequest> request = Parse(read_);
  if (!request.ok()) {
    const std::lock_guard lock(mutex_);
    EndWith(request.status());
  } else if (session_ == nullptr) {
    Greet(*request);
  } else {
    Take(*std::move(request));
  }
  std::unique_lock lock(mutex_);
  reading_ = false;
  if (!done_) {
    ReadOn();
    return;
  }
  lock.unlock();
  Close();
}

absl::StatusOr<SessionStart> IngestCall::Open(const v1::IngestRequest& request) {
  if (!request.has_hello()) {
    return absl::InvalidArgumentError("the first message of a stream must be a Hello");
  }
  if (absl::Status status = context_.access.Authorize(principal(), request); !status.ok()) {
    return status;
  }
  const v1::Hello& hello = request.hello();
  if (hello.session_epoch() <= 0) {
    return InvalidField("hello.session_epoch",
                        absl::StrCat(hello.session_epoch(), " got; must be positive"));
  }
  return context_.monitor.OpenSession(hello.run_id(), hello.session_epoch(), shared_from_this());
}

void IngestCall::Greet(const v1::IngestRequest& request) {
  absl::StatusOr<SessionStart> start = Open(request);
  const v1::Hello& hello = request.hello();
  const std::lock_guard lock(mutex_);
  if (!start.ok()) {
    EndWith(start.status());
    return;
  }
  run_id_ = hello.run_id();
  project_ = start->view.run.project;
  session_ = std::move(start->session);
  received_ = accepted_ = start->resume_seq;
  durable_ = std::max(durable_, start->resume_seq);
  v1::Welcome& welcome = *welcome_.emplace().mutable_welcome();
  welcome.set_resume_seq(start->resume_seq);
  welcome.set_max_batch_bytes(context_.max_batch_bytes);
  *welcome.mutable_config() = ConfigToProto(start->view.run);
  *welcome.mutable_decision() = ToProto(ForJob(start->view.decision), start->view.decision_time);
  greeted_ = true;
  WriteOn();
  Log(LogLevel::kInfo, "session opened",
      {{"run", run_id_},
       {"project", project_},
       {"request", request_id_},
       {"epoch", hello.session_epoch()},
       {"resume_seq", start->resume_seq},
       {"token", principal().name()}});
}

void IngestCall::Take(v1::IngestRequest request) {
  if (!IsNumberedItem(request)) {
    const std::lock_guard lock(mutex_);
    EndWith(absl::InvalidArgumentError(request.has_hello()
                                           ? "a second Hello on the stream; one comes first"
                                           : "a message without an item that this server knows"));
    return;
  }
  const std::int64_t seq = SeqOf(request);
  const std::int64_t rows = RowsOf(request);
  absl::StatusOr<ConvertedItem> item = FromProto(std::move(request));
  if (!item.ok()) {
    Reject(seq, rows, item.status(), BlamedField(item.status()), /*counted=*/false);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    wait_for_room_ = true;  // before Offer: OnRoom may come before it returns
    if (seq > received_) undurable_.emplace_back(seq, context_.clock.Monotonic());
  }
  const IngestSession::Offered offered = session_->Offer(std::move(item->item));
  if (absl::IsUnavailable(offered.rejection.status)) {
    const std::lock_guard lock(mutex_);
    EndWith(offered.rejection.status);  // the client reconnects and sends the item again
    return;
  }
  // The session is over, and OnEnd is about to say why: no fault of the item.
  if (absl::IsAborted(offered.rejection.status)) return;
  if (!offered.rejection.status.ok()) {
    Reject(seq, rows, offered.rejection.status, offered.rejection.field, /*counted=*/true);
  } else if (!item->left_out.empty()) {
    Reject(seq, 0,
           absl::InvalidArgumentError(absl::StrCat(item->left_out,
                                                   "; the others of this "
                                                   "batch were taken")),
           "values", /*counted=*/true);
  }
  const std::lock_guard lock(mutex_);
  if (offered.flow == IngestSession::Flow::kContinue) wait_for_room_ = false;
  if (offered.rejection.status.ok()) accepted_ = std::max(accepted_, seq);
  received_ = std::max(received_, seq);
  Acknowledge();
}

void IngestCall::Reject(std::int64_t seq, std::int64_t rows, const absl::Status& status,
                        std::string field, bool counted) {
  if (!counted) context_.metrics.CountRejectedRows("invalid_argument", rows);
  Log(LogLevel::kDebug, "item rejected",
      {{"run", run_id_},
       {"project", project_},
       {"request", request_id_},
       {"seq", seq},
       {"reason", status.message()}});
  v1::Nack nack;
  nack.set_seq(seq);
  nack.set_code(static_cast<int>(status.code()));
  nack.set_message(MessageOf(status));
  nack.set_field(std::move(field));
  nack.set_rejected_rows(std::max<std::int64_t>(rows, 0));
  nack.set_quota(QuotaOf(status));
  if (const auto delay = RetryOf(status)) *nack.mutable_retry_delay() = DurationToProto(*delay);
  const std::lock_guard lock(mutex_);
  if (!undurable_.empty() && undurable_.back().first == seq) undurable_.pop_back();
  outbox_.Nack(std::move(nack));
  received_ = std::max(received_, seq);
  Acknowledge();
}

void IngestCall::OnDurable(std::int64_t seq) {
  const absl::Duration now = context_.clock.Monotonic();
  const std::lock_guard lock(mutex_);
  durable_ = std::max(durable_, seq);
  for (; !undurable_.empty() && undurable_.front().first <= seq; undurable_.pop_front()) {
    context_.metrics.ObserveAck(absl::ToDoubleSeconds(now - undurable_.front().second));
  }
  Acknowledge();
}

void IngestCall::OnChanges(const RunChanges& changes) {
  const std::lock_guard lock(mutex_);
  for (const EstimateRecord& record : changes.estimates) outbox_.Add(ToProto(record));
  for (const AttentionRecord& record : changes.attention) outbox_.Add(ToProto(record));
  for (const SignalRecord& record : changes.signals) outbox_.Add(ToProto(record));
  for (const DecisionRecord& record : changes.decisions) {
    outbox_.Add(ToProto(ForJob(record.decision), record.create_time));
  }
  WriteOn();
}

void IngestCall::OnRoom() {
  const std::lock_guard lock(mutex_);
  wait_for_room_ = false;
  ReadOn();
}

void IngestCall::OnEnd(absl::Status reason) {
  const std::lock_guard lock(mutex_);
  if (absl::IsUnavailable(reason) && !ending_) outbox_.Drain();
  EndWith(reason);
}

void IngestCall::Stop() {
  const std::lock_guard lock(mutex_);
  if (greeted_ && !ending_) outbox_.Drain();
  EndWith(absl::UnavailableError("the server is shutting down; reconnect"));
}

void IngestCall::Revoke(const absl::Status& why) {
  const std::lock_guard lock(mutex_);
  welcome_.reset();
  greeted_ = false;
  EndWith(why);
}

void IngestCall::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (!ok) return;  // OnCancel ends it
  WriteOn();
  ReadOn();
}

void IngestCall::OnCancel() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  Finish({grpc::StatusCode::CANCELLED, "the client is gone"});
}

void IngestCall::OnDone() {
  const std::lock_guard lock(mutex_);
  done_ = true;
  // Off this thread: closing waits for the monitor's calls to us.
  if (!reading_) context_.handlers.Submit([call = shared_from_this()] { call->Close(); });
}

void IngestCall::Close() {
  if (session_ != nullptr) session_->Close();
  LogEnd();
  const std::shared_ptr<IngestCall> self = std::move(self_);
  context_.open.Remove(self);
}

void IngestCall::LogEnd() {
  const std::lock_guard lock(mutex_);
  const bool opened = session_ != nullptr;
  const auto code =
      static_cast<absl::StatusCode>(ending_ ? ending_->error_code() : grpc::StatusCode::CANCELLED);
  Log(opened ? LogLevel::kInfo : LogLevel::kDebug, opened ? "session closed" : "session refused",
      {{"run", run_id_},
       {"project", project_},
       {"request", request_id_},
       {"token", principal().name()},
       {"code", absl::StatusCodeToString(code)},
       {"problem", ending_ ? ending_->error_message() : "the client is gone"}});
}

void IngestCall::ReadOn() {
  if (finished_ || ending_ || reading_ || half_closed_ || wait_for_room_ || outbox_.nacks_full()) {
    return;
  }
  reading_ = true;
  StartRead(&read_);
}

void IngestCall::WriteOn() {
  if (finished_ || writing_) return;
  std::optional<v1::IngestResponse> next;
  if (welcome_) {
    next.swap(welcome_);
  } else if (greeted_) {
    next = outbox_.Next();
  }
  if (next) {
    bool own_buffer = false;
    write_.Clear();
    grpc::SerializationTraits<v1::IngestResponse>::Serialize(*next, &write_, &own_buffer);
    writing_ = true;
    StartWrite(&write_);
  } else if (ending_) {
    finished_ = true;
    Finish(*ending_);
  }
}

void IngestCall::Acknowledge() {
  // A rejected item needs no log: once all that was taken is durable, so is everything received.
  if (greeted_) outbox_.Ack(received_, durable_ >= accepted_ ? received_ : durable_);
  if (half_closed_ && !reading_ && durable_ >= accepted_) {
    EndWith(absl::OkStatus());
  } else {
    WriteOn();
  }
}

void IngestCall::EndWith(const absl::Status& status) {
  if (!ending_) ending_ = ToGrpcStatus(status);
  WriteOn();
}

}  // namespace dimwatch::server
