#include "server/watch_call.h"

#include <utility>

#include "server/errors.h"
#include "server/limits.h"
#include "server/request_id.h"

namespace dimwatch::server {

WatchCall::WatchCall(Principal principal, std::string request_id,
                     const v1::WatchRunRequest& request, const WatchContext& context)
    : Stoppable(std::move(principal)),
      context_(context),
      request_(request),
      request_id_(std::move(request_id)),
      cursor_(request.after_cursor()) {}

WatchCall* WatchCall::Start(const grpc::CallbackServerContext& grpc_context,
                            const v1::WatchRunRequest& request, const WatchContext& context) {
  absl::StatusOr<Principal> principal = context.access.Authenticate(grpc_context);
  std::shared_ptr<WatchCall> call(new WatchCall(principal.ok() ? *principal : Principal(),
                                                RequestIdOf(grpc_context), request, context));
  call->self_ = call;
  context.open.Add(call);
  if (principal.ok()) {
    context.handlers.Submit([call] { call->Begin(); });
  } else {
    call->Revoke(principal.status());
  }
  return call.get();
}

void WatchCall::Begin() {
  absl::Status status = context_.access.Authorize(principal(), request_);
  if (status.ok() && cursor_ < 0) {
    status = InvalidField("after_cursor", "is negative; 0 and greater are allowed");
  }
  if (!status.ok()) {
    const std::lock_guard lock(mutex_);
    FinishOnce(status);
    return;
  }
  absl::StatusOr<std::shared_ptr<void>> subscription =
      context_.monitor.Subscribe(request_.run_id(), [weak = weak_from_this()] {
        if (const std::shared_ptr<WatchCall> call = weak.lock()) call->Notify();
      });
  if (!subscription.ok()) {
    const std::lock_guard lock(mutex_);
    FinishOnce(subscription.status());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    subscription_ = *std::move(subscription);
  }
  ReadPage();
}

void WatchCall::ReadPage() {
  std::int64_t cursor = 0;
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    cursor = cursor_;
    news_ = false;
  }
  // In this order: an ended run gets no events after it was seen to have ended.
  const absl::StatusOr<bool> ended = context_.query_handlers.HasEnded(request_.run_id());
  absl::StatusOr<std::vector<v1::WatchRunResponse>> page =
      ended.ok() ? context_.query_handlers.Events(request_.run_id(), cursor, kWatchPage)
                 : ended.status();
  // Behind the reading: a run may have been deleted and made anew in another project meanwhile.
  const absl::Status allowed = context_.access.Authorize(principal(), request_);
  if (!allowed.ok()) page = allowed;
  TakePage(std::move(page), ended.ok() && *ended);
}

void WatchCall::TakePage(absl::StatusOr<std::vector<v1::WatchRunResponse>> page, bool ended) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  reading_ = false;
  if (!page.ok()) {
    FinishOnce(page.status());
  } else if (!page->empty()) {
    page_ = *std::move(page);
    cursor_ = page_.back().cursor();
    next_ = 0;
    writing_ = true;
    StartWrite(&page_[0]);
  } else if (ended) {
    FinishOnce(absl::OkStatus());
  } else if (news_) {
    SubmitRead();
  }
}

void WatchCall::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (finished_) return;
  if (!ok) {
    FinishOnce(absl::CancelledError("the caller is gone"));
  } else if (++next_ < page_.size()) {
    writing_ = true;
    StartWrite(&page_[next_]);
  } else {
    SubmitRead();
  }
}

void WatchCall::Notify() {
  const std::lock_guard lock(mutex_);
  news_ = true;
  if (!reading_ && !writing_ && !finished_) SubmitRead();
}

void WatchCall::SubmitRead() {
  reading_ = true;
  context_.handlers.Submit([call = shared_from_this()] { call->ReadPage(); });
}

void WatchCall::OnCancel() {
  const std::lock_guard lock(mutex_);
  FinishOnce(absl::CancelledError("the caller is gone"));
}

void WatchCall::Stop() {
  const std::lock_guard lock(mutex_);
  FinishOnce(absl::UnavailableError("the server is shutting down; try again from the last cursor"));
}

void WatchCall::Revoke(const absl::Status& why) {
  const std::lock_guard lock(mutex_);
  FinishOnce(why);
}

void WatchCall::FinishOnce(absl::Status why) {
  if (finished_) return;
  finished_ = true;
  LogHandled(request_id_, principal(), request_, why);
  Finish(ToGrpcStatus(why));
}

void WatchCall::OnDone() {
  // Off this thread: the monitor may be about to call Notify while it waits for us to unsubscribe.
  context_.handlers.Submit([call = shared_from_this()] {
    call->context_.open.Remove(call);
    std::shared_ptr<void> subscription;
    {
      const std::lock_guard lock(call->mutex_);
      subscription = std::move(call->subscription_);
    }
    subscription.reset();
    call->self_.reset();
  });
}

}  // namespace dimwatch::server
