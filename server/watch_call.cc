#include "server/watch_call.h"

#include <utility>

#include "server/errors.h"
#include "server/limits.h"

namespace dimwatch::server {

WatchCall::WatchCall(const v1::WatchRunRequest& request, QueryHandlers& query_handlers,
                     Monitor& monitor, ThreadPool& handlers, OpenStreams& open)
    : query_handlers_(query_handlers),
      monitor_(monitor),
      handlers_(handlers),
      open_(open),
      run_id_(request.run_id()),
      cursor_(request.after_cursor()) {}

WatchCall* WatchCall::Start(const v1::WatchRunRequest& request, QueryHandlers& query_handlers,
                            Monitor& monitor, ThreadPool& handlers, OpenStreams& open) {
  std::shared_ptr<WatchCall> call(new WatchCall(request, query_handlers, monitor, handlers, open));
  call->self_ = call;
  open.Add(call);
  handlers.Submit([call] { call->Begin(); });
  return call.get();
}

void WatchCall::Begin() {
  if (cursor_ < 0) {
    const std::lock_guard lock(mutex_);
    FinishOnce(InvalidField("after_cursor", "is negative; 0 and greater are allowed"));
    return;
  }
  absl::StatusOr<std::shared_ptr<void>> subscription =
      monitor_.Subscribe(run_id_, [weak = weak_from_this()] {
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
  const absl::StatusOr<bool> ended = query_handlers_.HasEnded(run_id_);
  TakePage(ended.ok() ? query_handlers_.Events(run_id_, cursor, kWatchPage) : ended.status(),
           ended.ok() && *ended);
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
  handlers_.Submit([call = shared_from_this()] { call->ReadPage(); });
}

void WatchCall::OnCancel() {
  const std::lock_guard lock(mutex_);
  FinishOnce(absl::CancelledError("the caller is gone"));
}

void WatchCall::Stop() {
  const std::lock_guard lock(mutex_);
  FinishOnce(absl::UnavailableError("the server is shutting down; try again from the last cursor"));
}

void WatchCall::FinishOnce(absl::Status why) {
  if (finished_) return;
  finished_ = true;
  Finish(ToGrpcStatus(why));
}

void WatchCall::OnDone() {
  // Off this thread: the monitor may be about to call Notify while it waits for us to unsubscribe.
  handlers_.Submit([call = shared_from_this()] {
    call->open_.Remove(call);
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
