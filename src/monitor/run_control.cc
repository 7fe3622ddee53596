// The part of RunActor that people, time and the end of the process ask for.
#include <future>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/names.h"
#include "src/monitor/run_actor.h"
#include "src/monitor/stored_run.h"
#include "src/store/log_hold.h"

namespace dimwatch {

absl::StatusOr<ViewPtr> RunActor::Update(const RunUpdate& update) {
  {
    const std::lock_guard lock(mutex_);
    if (absl::Status s = CheckSound(); !s.ok()) return s;
  }
  std::promise<absl::Status> committed;
  Add(Task([this, update] { return Change(update); },
           [&committed](absl::Status status) { committed.set_value(std::move(status)); }),
      /*first=*/true);
  if (absl::Status s = committed.get_future().get(); !s.ok()) return s;
  return view();
}

void RunActor::Finish(bool failed, std::function<void(absl::StatusOr<ViewPtr>)> done) {
  absl::Status sound;
  {
    const std::lock_guard lock(mutex_);
    sound = CheckSound();
    ending_ |= sound.ok();
  }
  if (!sound.ok()) return done(sound);
  Add(Task([this, failed] { return ChangeToEnded(failed); },
           [this, done = std::move(done)](absl::Status committed) {
             if (!committed.ok()) return done(std::move(committed));
             done(view());
           }));
}

void RunActor::Wake() {
  {
    const std::lock_guard lock(mutex_);
    last_item_ = context_.clock.Monotonic();
  }
  if (view()->run.state != RunState::kStale) return;
  Add(Task([this]() -> Changes {
    if (!pipeline_) return std::nullopt;
    return pipeline_->ObserveSilence(0);
  }));
}

void RunActor::Tick() {
  const ViewPtr now = view();
  bool claimed = false;
  {
    const std::lock_guard lock(mutex_);
    const absl::Duration silence = context_.clock.Monotonic() - last_item_;
    const double seconds = absl::ToDoubleSeconds(silence);
    const bool silent = log_ && !silence_is_queued_ && !draining_ &&
                        now->run.state == RunState::kRunning &&
                        seconds >= now->run.signals.heartbeat_seconds;
    if (silent) {
      silence_is_queued_ = true;
      Enqueue(Task([this, seconds] { return ChangeBySilence(seconds); }));
    }
    LetGoOn();
    claimed = ClaimWriter();
  }
  if (claimed) Start();
}

void RunActor::BeginDrain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  if (session_) session_->End(absl::UnavailableError("the server is stopping; reconnect"));
  session_.reset();
}

void RunActor::AwaitDrained() {
  std::deque<Task> left;
  {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return !scheduled_; });
    left.swap(queue_);
  }
  CommitPending();
  for (const Task& task : left) {
    if (task.done) task.done(absl::UnavailableError("the server is stopping; try again"));
  }
}

absl::Status RunActor::Delete() {
  std::deque<Task> left;
  const absl::Status gone =
      absl::NotFoundError(absl::StrCat("run ", Quoted(run_id_), " was deleted"));
  const auto deleted_folder = DeletedLogFolder(context_.options.log_folder, run_id_);
  {
    const std::scoped_lock lock(commit_mutex_, mutex_);
    std::error_code error;  // there may be no log
    std::filesystem::rename(log_folder(), deleted_folder, error);
    absl::Status removed = context_.store.DeleteRun(run_id_);
    if (!removed.ok() && !absl::IsNotFound(removed)) {
      std::filesystem::rename(deleted_folder, log_folder(), error);
      return removed;
    }
    deleted_ = true;
    left.swap(queue_);
    queued_items_ = 0;
    log_.reset();
    usage_.Clear();
    if (session_) session_->End(gone);
    session_.reset();
  }
  std::error_code leftover;  // is removed at the next start
  const auto hold = LogHold::ToRemove(context_.options.log_folder);
  if (hold.ok()) std::filesystem::remove_all(deleted_folder, leftover);
  for (const Task& task : left) {
    if (task.done) task.done(gone);
  }
  const std::lock_guard lock(view_mutex_);
  for (const auto& weak : subscriptions_) {
    if (const auto subscription = weak.lock()) subscription->Post();
  }
  return absl::OkStatus();
}

}  // namespace dimwatch
