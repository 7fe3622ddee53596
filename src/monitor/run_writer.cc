// The part of RunActor that runs on the pool: one at a time, in order.
#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/names.h"
#include "src/monitor/item_group.h"
#include "src/monitor/run_actor.h"
#include "src/monitor/stored_run.h"
#include "src/store/log_hold.h"

namespace dimwatch {

void RunActor::Work() {
  constexpr int kGroupsPerTurn = 64;  // or until there are estimates; then others have a turn
  bool estimated = false;
  for (int i = 0; i < kGroupsPerTurn;) {
    if (!CommitPending()) return RestUncommitted();
    if (estimated) break;
    if (std::vector<Task> tasks = TakeTasks(); !tasks.empty()) {
      Do(std::move(tasks));
      estimated = pending_ && !pending_->changes.estimates.empty();
      ++i;
    } else if (view_is_old_) {
      Publish(pipeline_->run());
    } else if (Rest()) {
      return;
    }
  }
  Start();
}

// None if the writer is to rest; one task, or the items of one group.
std::vector<RunActor::Task> RunActor::TakeTasks() {
  const std::lock_guard lock(mutex_);
  ItemGroup group(std::max<std::size_t>(1, context_.pool.threads()));
  std::vector<Task> tasks;
  while (!queue_.empty() && !draining_) {
    Task& next = queue_.front();
    const bool joins = next.item ? group.Take(*next.item) : tasks.empty();
    if (!joins) break;
    tasks.push_back(std::move(next));
    queue_.pop_front();
    if (!tasks.back().item) break;
  }
  return tasks;
}

// Returns false if there is more to do after all. Afterwards the writer touches nothing.
bool RunActor::Rest() {
  const std::lock_guard lock(mutex_);
  if (!queue_.empty() && !draining_) return false;
  store_fails_ = false;
  scheduled_ = false;
  idle_.notify_all();
  return true;
}

// Items wait for the store; callers do not.
void RunActor::RestUncommitted() {
  std::vector<Done> waiting;
  {
    const std::lock_guard lock(mutex_);
    for (const Task& task : queue_) {
      if (task.done) waiting.push_back(task.done);
    }
    queued_items_ -= static_cast<std::int64_t>(
        std::erase_if(queue_, [](const Task& task) { return static_cast<bool>(task.done); }));
    ending_ = pending_->changes.run.end_time.has_value();
    store_fails_ = true;
    scheduled_ = false;
    idle_.notify_all();
  }
  for (const Done& done : waiting) {
    done(absl::UnavailableError("the store fails at present; try again"));
  }
}

void RunActor::Do(std::vector<Task> tasks) {
  const auto count = static_cast<std::int64_t>(tasks.size());
  std::int64_t bytes = 0;
  for (const Task& task : tasks) bytes += task.bytes;
  if (tasks.front().item) {
    Apply(tasks);
  } else {
    Make(std::move(tasks.front()));
  }
  const std::lock_guard lock(mutex_);
  if (deleted_) return;
  queued_items_ -= count;
  usage_.Add(Resource::kQueuedBytes, -bytes);
  LetGoOn();
}

void RunActor::Make(Task task) {
  Changes changes = task.change();
  const bool commits = changes.ok() && *changes;
  if (commits) {
    pending_ = Pending{**std::move(changes), std::move(task.done)};
  } else if (task.done) {
    task.done(changes.status());
  }
}

void RunActor::Apply(const std::vector<Task>& tasks) {
  if (!pipeline_) return;
  const absl::Duration waited = context_.clock.Monotonic() - tasks.front().queued_at;
  std::vector<const IngestItem*> items;
  items.reserve(tasks.size());
  for (const Task& task : tasks) items.push_back(&*task.item);
  std::optional<RunChanges> changes = pipeline_->ApplyTogether(items);
  view_is_old_ = true;
  usage_.Set(Resource::kWindowBytes, pipeline_->window_bytes());
  const std::int64_t nonfinite = pipeline_->nonfinite_rows() - counted_nonfinite_rows_;
  if (nonfinite > 0) context_.counters.CountRejectedRows("nonfinite", nonfinite);
  counted_nonfinite_rows_ += nonfinite;
  if (!changes) return;
  for (const EstimateRecord& record : changes->estimates) {
    if (!record.subsampled_reason.empty()) context_.counters.CountSubsampled();
  }
  if (context_.observer) {
    for (const EstimateRecord& record : changes->estimates) {
      context_.observer({.estimator = record.estimate.settings.estimator,
                         .index = record.estimate.settings.index,
                         .queue_seconds = absl::ToDoubleSeconds(waited),
                         .compute_seconds = record.estimate.seconds});
    }
  }
  pending_ = Pending{*std::move(changes), {}};
}

// Returns false if the store failed: what is pending stays so.
bool RunActor::CommitPending() {
  if (!pending_) return true;
  absl::Status status;
  bool deleted = false;
  {
    const std::lock_guard lock(commit_mutex_);
    deleted = deleted_;
    status = deleted ? absl::NotFoundError(absl::StrCat("run ", Quoted(run_id_), " was deleted"))
                     : context_.store.Commit(pending_->changes);
  }
  const Done done = std::exchange(pending_->done, {});
  if (status.ok()) {
    const RunChanges changes = std::move(pending_->changes);
    pending_.reset();
    AfterCommit(changes);
  } else if (deleted) {
    pending_.reset();
  } else {
    context_.counters.CountStoreError();
  }
  if (done) done(status);
  return !pending_;
}

void RunActor::AfterCommit(const RunChanges& changes) {
  Publish(changes.run);
  {
    const std::lock_guard lock(view_mutex_);
    for (const auto& weak : subscriptions_) {
      if (const auto subscription = weak.lock()) subscription->Post();
    }
  }
  {
    const std::lock_guard lock(mutex_);
    if (session_) session_->PostChanges(std::make_shared<const RunChanges>(changes));
  }
  if (changes.run.end_time) {
    End(changes.run);
  } else {
    Trim();
  }
}

// What is committed needs no log. What the writer holds stands where the store stands.
void RunActor::Trim() {
  const std::lock_guard lock(mutex_);
  if (!log_) return;
  if (!log_->Trim(pipeline_->first_needed_seq()).ok()) context_.counters.CountStoreError();
  NoteDisk();
}

void RunActor::End(const RunRecord& run) {
  pipeline_.reset();
  usage_.Set(Resource::kRuns, 0);
  usage_.Set(Resource::kProbes, 0);
  usage_.Set(Resource::kWindowBytes, 0);
  const std::lock_guard lock(mutex_);
  log_.reset();
  NoteDisk();
  // What is left over is removed at the next start.
  std::error_code leftover;
  const auto hold = LogHold::ToRemove(context_.options.log_folder);
  if (hold.ok()) std::filesystem::remove_all(log_folder(), leftover);
  if (session_) {
    session_->End(absl::FailedPreconditionError(
        absl::StrCat("run ", Quoted(run_id_), " has ended as ", std::string(Name(run.state)))));
  }
  session_.reset();
}

void RunActor::Publish(const RunRecord& run) {
  auto view = std::make_shared<RunView>();
  if (!pipeline_) *view = *this->view();
  view->run = run;
  if (pipeline_) {
    view->decision = pipeline_->decision();
    view->decision_time = pipeline_->decision_time();
    view->signals = pipeline_->signals();
    view->latest_estimates = pipeline_->latest_estimates();
    view->latest_profiles = pipeline_->latest_profiles();
    view->latest_attention = pipeline_->latest_attention();
    view->latest_scalars = pipeline_->latest_scalars();
    usage_.Set(Resource::kWindowBytes, pipeline_->window_bytes());
  }
  view_is_old_ = false;
  const std::lock_guard lock(view_mutex_);
  view_ = std::move(view);
}

RunActor::Changes RunActor::Change(const RunUpdate& update) {
  RunRecord run = view()->run;
  const std::string name = update.display_name.value_or(run.display_name);
  const auto labels = update.labels.value_or(run.labels);
  const bool rejudges = update.signals || update.policy;
  if (!pipeline_) {
    if (rejudges) {
      return absl::FailedPreconditionError(absl::StrCat("run ", Quoted(run_id_), " has ended as ",
                                                        std::string(Name(run.state)),
                                                        "; its signals and policy are settled"));
    }
    run.display_name = name;
    run.labels = labels;
    RunChanges changes;
    changes.run = std::move(run);
    return changes;
  }
  if (!rejudges) return pipeline_->Describe(name, labels);
  const absl::StatusOr<std::vector<EventRecord>> history = ReadHistory(context_.store, run_id_);
  if (!history.ok()) return history.status();
  pipeline_->Describe(name, labels);
  return pipeline_->Rejudge(update.signals.value_or(run.signals),
                            update.policy.value_or(run.policy), update.author, *history);
}

RunActor::Changes RunActor::ChangeBySilence(double seconds) {
  {
    const std::lock_guard lock(mutex_);
    silence_is_queued_ = false;
  }
  if (!pipeline_) return std::nullopt;
  return pipeline_->ObserveSilence(seconds);
}

RunActor::Changes RunActor::ChangeToEnded(bool failed) {
  if (pipeline_) return pipeline_->Finish(failed);
  const RunState state = view()->run.state;
  if (state == (failed ? RunState::kFailed : RunState::kFinished)) return std::nullopt;
  return absl::FailedPreconditionError(
      absl::StrCat("run ", Quoted(run_id_), " has ended as ", std::string(Name(state))));
}

}  // namespace dimwatch
