// One run of a monitor: its queue, its single writer, and those who listen to it.
//
// Every accepted item is in the run's log before it is queued. The writer takes the items in order,
// commits what came of each, and only then tells anybody. While the store fails, the writer holds
// what it could not commit and takes no further item: the queue fills, sessions are told to wait,
// every further item and every Tick tries again, and callers who wait are told. Nothing that was
// acknowledged is lost: it is in the log.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/monitor/channels.h"
#include "src/monitor/context.h"
#include "src/monitor/monitor.h"
#include "src/monitor/run_pipeline.h"
#include "src/store/sample_log.h"

namespace dimwatch {

using ViewPtr = std::shared_ptr<const RunView>;

// Thread-safe. `context` outlives it.
class RunActor : public std::enable_shared_from_this<RunActor> {
 public:
  // A run that is not written any more: ended, or set aside (RunRecord::damage).
  RunActor(MonitorContext& context, RunView view);
  // Makes a run that the store has live: restores it from the store and its log, queues the items
  // that the store does not reflect yet, and starts the writer. A run that cannot be restored comes
  // back set aside.
  static std::shared_ptr<RunActor> Open(MonitorContext& context, RunRecord run);

  ViewPtr view() const;
  std::int64_t queued_items() const { return queued_items_; }

  absl::StatusOr<SessionStart> OpenSession(std::int64_t session_epoch,
                                           std::shared_ptr<SessionListener> listener);
  IngestSession::Offered Offer(const std::shared_ptr<SessionChannel>& session, IngestItem item);
  void CloseSession(const std::shared_ptr<SessionChannel>& session);
  std::shared_ptr<void> Subscribe(std::function<void()> notify);

  // Waits for the estimate under way. Not to be called from the pool's threads.
  absl::StatusOr<ViewPtr> Update(const RunUpdate& update);
  void Finish(bool failed, std::function<void(absl::StatusOr<ViewPtr>)> done);
  // Somebody asked for the run again: it is not silent.
  void Wake();
  void Tick();
  // Ends the session, and stops the writer behind what it is doing.
  void BeginDrain();
  // After BeginDrain: waits for the writer.
  void AwaitDrained();
  // Removes the run from the store and its log from the disk. Nothing is written of it afterwards.
  absl::Status Delete();

 private:
  using Changes = absl::StatusOr<std::optional<RunChanges>>;
  using Done = std::function<void(absl::Status)>;
  // What the writer does next: applies an item, or makes a change of another kind and tells `done`
  // how committing it went.
  struct Task {
    explicit Task(IngestItem to_apply) : item(std::move(to_apply)), bytes(BytesOf(*item)) {}
    explicit Task(std::function<Changes()> to_make, Done to_tell = {})
        : change(std::move(to_make)), done(std::move(to_tell)) {}
    std::optional<IngestItem> item;
    std::function<Changes()> change;
    Done done;
    std::int64_t bytes = 0;
    absl::Duration queued_at;
  };
  // Changes that are not committed yet. `done` is told of the first try.
  struct Pending {
    RunChanges changes;
    Done done;
  };

  absl::Status Restore(RunRecord run);
  std::filesystem::path log_folder() const;

  // REQUIRES: mutex_ is held.
  absl::Status CheckSound() const;     // neither set aside nor draining
  absl::Status CheckWritable() const;  // sound, and neither ended nor ending
  // RESOURCE_EXHAUSTED if the project or the server has no room for it.
  absl::Status CheckRoom(const IngestItem& item) const;
  // The item was admitted: it is logged and queued. UNAVAILABLE if the disk does not take it.
  absl::Status Take(IngestItem item);
  // The item had no room: its step is incomplete if a part of it is taken, before or afterwards.
  // UNAVAILABLE if the disk does not take the word of it.
  absl::Status NoteRefused(IngestItem item);
  // Adds what was refused before to the item, which is taken.
  void AddRefused(IngestItem& item);
  // With fewer queries, where there is too little of something for all of them; takes what it costs
  // from the project's compute.
  void Ration(SampleItem& item);
  IngestSession::Flow FlowOf();
  // Whether the session has to wait: something is beyond `share` of its limit.
  bool MustWait(double share) const;
  void LetGoOn();   // if the session waits and need not any more
  void NoteDisk();  // how much of it is used
  void Enqueue(Task task);
  // True if the caller must call Start, without the mutex.
  bool ClaimWriter();

  void Start();
  void Add(Task task, bool first = false);

  // The writer's own (run_writer.cc).
  void Work();
  std::vector<Task> TakeTasks();
  bool Rest();
  void RestUncommitted();
  void Do(std::vector<Task> tasks);
  void Make(Task task);
  void Apply(const std::vector<Task>& tasks);
  bool CommitPending();
  void AfterCommit(const RunChanges& changes);
  void Trim();
  void End(const RunRecord& run);
  void Publish(const RunRecord& run);
  Changes Change(const RunUpdate& update);
  Changes ChangeBySilence(double seconds);
  Changes ChangeToEnded(bool failed);

  MonitorContext& context_;
  const std::string run_id_;

  mutable std::mutex mutex_;  // guards all up to the next one
  std::optional<RunAdmission> admission_;
  std::unique_ptr<SampleLog> log_;  // null: the run is not written any more
  struct Refused {
    Step step;
    std::int64_t rows = 0;  // of which the log does not know
    bool logged = false;    // it knows that something is missing
  };
  std::map<std::string, Refused> refused_;  // by probe, behind the newest batch taken of it
  std::deque<Task> queue_;
  std::shared_ptr<SessionChannel> session_;
  std::int64_t session_epoch_ = 0;
  bool session_waits_ = false;  // was told kWait
  bool scheduled_ = false;      // the writer runs or is about to
  bool store_fails_ = false;    // the writer left something uncommitted
  bool ending_ = false;         // Finish is queued or done
  bool silence_is_queued_ = false;
  bool draining_ = false;
  absl::Duration last_item_;  // on the monotonic clock
  std::condition_variable idle_;

  // Excludes a commit and the deletion of the run from each other. Taken before mutex_.
  std::mutex commit_mutex_;
  bool deleted_ = false;

  mutable std::mutex view_mutex_;
  ViewPtr view_;
  std::vector<std::weak_ptr<Subscription>> subscriptions_;

  // The writer's own; AwaitDrained's once the writer rests.
  std::optional<RunPipeline> pipeline_;
  std::optional<Pending> pending_;
  bool view_is_old_ = false;
  std::int64_t counted_nonfinite_rows_ = 0;
  ThreadPool::Account account_;

  std::atomic<std::int64_t> queued_items_{0};
  UsageShare usage_;
};

}  // namespace dimwatch
