#include "src/monitor/run_actor.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/base/names.h"
#include "src/base/quota_error.h"
#include "src/monitor/stored_run.h"

namespace dimwatch {
namespace {

class Session final : public IngestSession {
 public:
  Session(std::shared_ptr<RunActor> run, std::shared_ptr<SessionChannel> channel)
      : run_(std::move(run)), channel_(std::move(channel)) {}
  ~Session() override { run_->CloseSession(channel_); }
  Offered Offer(IngestItem item) override { return run_->Offer(channel_, std::move(item)); }
  void Close() override { run_->CloseSession(channel_); }

 private:
  const std::shared_ptr<RunActor> run_;
  const std::shared_ptr<SessionChannel> channel_;
};

// Of samples the rows, of attention maps the prompts.
std::int64_t RowsOf(const IngestItem& item) {
  if (const auto* samples = std::get_if<SampleItem>(&item)) {
    return std::max<std::int64_t>(samples->rows, 0);
  }
  const auto* attention = std::get_if<AttentionItem>(&item);
  return attention ? std::max<std::int64_t>(attention->prompts, 0) : 0;
}

std::int64_t DataBytesOf(const IngestItem& item) {
  const auto* samples = std::get_if<SampleItem>(&item);
  const auto* attention = std::get_if<AttentionItem>(&item);
  const std::string* data = samples ? &samples->data : attention ? &attention->data : nullptr;
  return data ? static_cast<std::int64_t>(data->size()) : 0;
}

absl::Status Ended(const RunRecord& run) {
  return absl::FailedPreconditionError(
      absl::StrCat("run ", Quoted(run.run_id), " has ended as ", std::string(Name(run.state))));
}

}  // namespace

RunActor::RunActor(MonitorContext& context, RunView view)
    : context_(context),
      run_id_(view.run.run_id),
      session_epoch_(view.run.session_epoch),
      last_item_(context.clock.Monotonic()),
      view_(std::make_shared<const RunView>(std::move(view))),
      usage_(context.usage, view_->run.project) {
  NoteDisk();
}

std::shared_ptr<RunActor> RunActor::Open(MonitorContext& context, RunRecord run) {
  RunView view;
  view.run = run;
  auto actor = std::make_shared<RunActor>(context, std::move(view));
  const absl::Status restored = actor->Restore(run);
  if (!restored.ok()) {
    run.damage = std::string(restored.message());
    RunChanges found;
    found.run = run;
    // It stays set aside, whatever becomes of the files.
    if (absl::IsDataLoss(restored) && !context.store.Commit(found).ok()) {
      context.counters.CountStoreError();
    }
    return std::make_shared<RunActor>(context, StoredView(context.store, std::move(run)));
  }
  {
    const std::lock_guard lock(actor->mutex_);
    if (!actor->ClaimWriter()) return actor;
  }
  actor->Start();
  return actor;
}

absl::Status RunActor::Restore(RunRecord run) {
  const absl::StatusOr<std::vector<EventRecord>> history = ReadHistory(context_.store, run_id_);
  if (!history.ok()) return history.status();
  const std::int64_t applied_seq = run.applied_seq;
  pipeline_ = RunPipeline::Restore(std::move(run), *history, context_.pool, context_.clock,
                                   context_.options.engine_costs);
  std::set<std::string> scalar_names;
  for (const ScalarRecord& scalar : pipeline_->latest_scalars()) scalar_names.insert(scalar.name);
  admission_.emplace(pipeline_->run(), context_.options.run_limits, std::move(scalar_names),
                     context_.options.engine_costs);

  SampleLog::Recovery recovery;
  absl::StatusOr<std::unique_ptr<SampleLog>> log = SampleLog::Open(
      log_folder(),
      [&](IngestItem item) {
        admission_->Note(item);
        if (SeqOf(item) <= applied_seq) {
          pipeline_->Rebuild(item);
        } else {
          Enqueue(Task(std::move(item)));
        }
      },
      &recovery);
  if (!log.ok()) return log.status();
  context_.counters.CountCutLog(recovery.torn_bytes);
  if (recovery.last_seq && *recovery.last_seq < applied_seq) {
    return absl::DataLossError(absl::StrCat("the log lost its end: it ends with item ",
                                            *recovery.last_seq, "; the store reflects item ",
                                            applied_seq));
  }
  log_ = *std::move(log);
  usage_.Set(Resource::kRuns, 1);
  usage_.Set(Resource::kProbes, admission_->probes());
  Publish(pipeline_->run());
  NoteDisk();
  return absl::OkStatus();
}

std::filesystem::path RunActor::log_folder() const {
  return LogFolder(context_.options.log_folder, run_id_);
}

ViewPtr RunActor::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

absl::Status RunActor::CheckSound() const {
  if (draining_) return absl::UnavailableError("the server is stopping; try again");
  const std::string damage = view()->run.damage;
  if (damage.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("run ", Quoted(run_id_), " was set aside and is read-only: ", damage));
}

absl::Status RunActor::CheckWritable() const {
  if (absl::Status s = CheckSound(); !s.ok()) return s;
  if (!log_) return Ended(view()->run);
  if (ending_) {
    return absl::FailedPreconditionError(absl::StrCat("run ", Quoted(run_id_), " is ending"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SessionStart> RunActor::OpenSession(std::int64_t session_epoch,
                                                   std::shared_ptr<SessionListener> listener) {
  SessionStart start;
  bool claimed = false;
  {
    const std::lock_guard lock(mutex_);
    if (absl::Status s = CheckWritable(); !s.ok()) return s;
    if (session_epoch < session_epoch_) {
      return absl::AbortedError(absl::StrCat("session epoch ", session_epoch, " of run ",
                                             Quoted(run_id_), " is older than the newest one, ",
                                             session_epoch_));
    }
    if (session_) {
      session_->End(absl::AbortedError(
          absl::StrCat("a newer session of run ", Quoted(run_id_), " took over")));
    }
    session_ = std::make_shared<SessionChannel>(context_.dispatcher, std::move(listener));
    session_waits_ = false;
    last_item_ = context_.clock.Monotonic();
    if (session_epoch > session_epoch_) {
      session_epoch_ = session_epoch;
      Enqueue(Task([this, session_epoch]() -> Changes {
        if (!pipeline_) return std::nullopt;
        return pipeline_->ObserveSession(session_epoch);
      }));
    }
    start.session = std::make_unique<Session>(shared_from_this(), session_);
    start.resume_seq = admission_->last_seq();
    start.view = *view();
    claimed = ClaimWriter();
  }
  if (claimed) Start();
  return start;
}

IngestSession::Offered RunActor::Offer(const std::shared_ptr<SessionChannel>& session,
                                       IngestItem item) {
  IngestSession::Offered offered;
  const std::int64_t seq = SeqOf(item);
  const std::int64_t rows = RowsOf(item);
  const std::int64_t bytes = DataBytesOf(item);
  bool claimed = false;
  {
    const std::lock_guard lock(mutex_);
    absl::Status& status = offered.rejection.status;
    if (session_ != session) {
      status =
          absl::AbortedError(absl::StrCat("this session of run ", Quoted(run_id_), " is over"));
      return offered;
    }
    status = CheckWritable();
    if (status.ok()) offered.rejection = admission_->Check(item);
    const bool fits = status.ok() && !offered.rejection.known;
    if (fits) status = CheckRoom(item);
    if (fits && status.ok()) {
      if (auto* samples = std::get_if<SampleItem>(&item)) Ration(*samples);
      AddRefused(item);
      status = Take(std::move(item));
      if (status.ok()) context_.counters.CountBatch(rows, bytes);
    } else if (fits) {
      const absl::Status noted = NoteRefused(std::move(item));
      if (!noted.ok()) status = noted;
    }
    if (!status.ok() && !absl::IsUnavailable(status)) {
      context_.counters.CountRejectedRows(
          absl::AsciiStrToLower(absl::StatusCodeToString(status.code())), rows);
      if (const std::string quota = QuotaOf(status); !quota.empty()) {
        usage_.project().CountRefusal(quota);
      }
    }
    if (status.ok()) session->PostDurable(std::max(seq, admission_->last_seq()));
    offered.flow = FlowOf();
    claimed = ClaimWriter();
  }
  if (claimed) Start();
  return offered;
}

absl::Status RunActor::Take(IngestItem item) {
  if (absl::Status logged = log_->Append(item); !logged.ok()) {
    context_.counters.CountStoreError();
    return absl::UnavailableError(
        absl::StrCat("the server cannot keep samples at present: ", logged.message()));
  }
  admission_->Note(item);
  usage_.Set(Resource::kProbes, admission_->probes());
  NoteDisk();
  last_item_ = context_.clock.Monotonic();
  Enqueue(Task(std::move(item)));
  return absl::OkStatus();
}

IngestSession::Flow RunActor::FlowOf() {
  session_waits_ = MustWait(1);
  return session_waits_ ? IngestSession::Flow::kWait : IngestSession::Flow::kContinue;
}

void RunActor::CloseSession(const std::shared_ptr<SessionChannel>& session) {
  {
    const std::lock_guard lock(mutex_);
    if (session_ == session) session_.reset();
  }
  session->Close();
}

std::shared_ptr<void> RunActor::Subscribe(std::function<void()> notify) {
  const auto subscription = std::make_shared<Subscription>(context_.dispatcher, std::move(notify));
  const std::lock_guard lock(view_mutex_);
  std::erase_if(subscriptions_, [](const auto& weak) { return weak.expired(); });
  subscriptions_.push_back(subscription);
  return {subscription.get(), [subscription](void*) { subscription->Close(); }};
}

void RunActor::Enqueue(Task task) {
  if (task.item) task.bytes = BytesOf(*task.item);
  task.queued_at = context_.clock.Monotonic();
  usage_.Add(Resource::kQueuedBytes, task.bytes);
  ++queued_items_;
  queue_.push_back(std::move(task));
}

bool RunActor::ClaimWriter() {
  if (scheduled_ || draining_ || (queue_.empty() && !store_fails_)) return false;
  return scheduled_ = true;
}

void RunActor::Start() {
  context_.pool.Submit([self = shared_from_this()] { self->Work(); }, account_);
}

void RunActor::Add(Task task, bool first) {
  bool claimed = false;
  {
    const std::lock_guard lock(mutex_);
    Enqueue(std::move(task));
    if (first) std::rotate(queue_.begin(), queue_.end() - 1, queue_.end());
    claimed = ClaimWriter();
  }
  if (claimed) Start();
}

}  // namespace dimwatch
