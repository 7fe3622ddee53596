#include "src/monitor/monitor.h"

#include <algorithm>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/names.h"
#include "src/base/quota_error.h"
#include "src/monitor/context.h"
#include "src/monitor/purger.h"
#include "src/monitor/run_actor.h"
#include "src/monitor/run_rules.h"
#include "src/monitor/stored_run.h"

namespace dimwatch {
namespace {

using ActorPtr = std::shared_ptr<RunActor>;

constexpr std::size_t kExpiredPerTick = 16;
constexpr absl::Duration kRetry = absl::Minutes(1);  // where runs have to end first

bool HasEnded(const RunRecord& run) {
  return run.state == RunState::kFinished || run.state == RunState::kFailed;
}

// Written, or waiting for somebody to write.
bool IsActive(const RunRecord& run) { return !HasEnded(run) && run.damage.empty(); }

bool Matches(const RunRecord& run, const RunFilter& filter) {
  if (!filter.project.empty() && run.project != filter.project) return false;
  const auto& states = filter.states;
  if (!states.empty() && std::ranges::find(states, run.state) == states.end()) return false;
  return std::ranges::all_of(filter.labels, [&](const auto& wanted) {
    const auto label = run.labels.find(wanted.first);
    return label != run.labels.end() && label->second == wanted.second;
  });
}

class MonitorImpl final : public Monitor {
 public:
  MonitorImpl(MonitorOptions options, Store& store, ThreadPool& pool, const Clock& clock,
              EstimateObserver observer)
      : context_{std::move(options),
                 store,
                 pool,
                 clock,
                 std::move(observer),
                 {},
                 std::make_shared<ServerUsage>(),
                 {}},
        purger_(store, pool, context_.counters) {}
  ~MonitorImpl() override { Drain(); }

  absl::Status Load();

  absl::StatusOr<Created> CreateRun(RunRecord run) override;
  absl::StatusOr<ViewPtr> GetRun(const std::string& run_id) override;
  std::vector<ViewPtr> ListRuns(const RunFilter& filter) override;
  absl::StatusOr<ViewPtr> UpdateRun(const std::string& run_id, const RunUpdate& update) override;
  void FinishRun(const std::string& run_id, bool failed,
                 std::function<void(absl::StatusOr<ViewPtr>)> done) override;
  absl::Status DeleteRun(const std::string& run_id) override;
  absl::StatusOr<SessionStart> OpenSession(const std::string& run_id, std::int64_t session_epoch,
                                           std::shared_ptr<SessionListener> listener) override;
  absl::StatusOr<std::shared_ptr<void>> Subscribe(const std::string& run_id,
                                                  std::function<void()> notify) override;
  std::unique_ptr<CloudShare> OpenCloud(const std::string& project) override {
    return std::make_unique<CloudShare>(context_.usage, project, context_.options.hard_memory_bytes,
                                        context_.clock);
  }
  MonitorSnapshot Snapshot() override;
  void SetRetention(Retention retention) override;
  void SetQuotas(Quotas quotas) override { context_.usage->SetQuotas(std::move(quotas)); }
  std::vector<ViewPtr> Tick() override;
  void Drain() override;

 private:
  absl::StatusOr<ActorPtr> Find(const std::string& run_id) const;
  std::vector<ActorPtr> Actors() const;
  absl::StatusOr<Created> Existing(RunActor& actor, const RunRecord& wanted) const;
  absl::Status CheckQuota(const RunRecord& run);
  absl::StatusOr<ActorPtr> Make(RunRecord run);
  // Ended runs beyond their retention, at most kExpiredPerTick.
  std::vector<ViewPtr> Expired() const;

  MonitorContext context_;
  Purger purger_;
  std::mutex create_mutex_;  // one run is created or deleted at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::map<std::string, ActorPtr> runs_;  // guarded by mutex_
  Retention retention_;                   // guarded by mutex_
  bool draining_ = false;                 // guarded by mutex_
};

absl::Status MonitorImpl::Load() {
  absl::StatusOr<std::vector<RunRecord>> records = context_.store.LoadRuns();
  if (!records.ok()) return records.status();
  TidyLogs(context_.options.log_folder, *records);
  std::vector<ActorPtr> actors(records->size());
  context_.pool.ParallelFor(actors.size(), [&](std::size_t i) {
    RunRecord& run = (*records)[i];
    actors[i] = IsActive(run) ? RunActor::Open(context_, std::move(run))
                              : std::make_shared<RunActor>(
                                    context_, StoredView(context_.store, std::move(run)));
  });
  for (ActorPtr& actor : actors) {
    const std::string run_id = actor->view()->run.run_id;
    runs_.emplace(run_id, std::move(actor));
  }
  purger_.Start();
  return absl::OkStatus();
}

absl::StatusOr<ActorPtr> MonitorImpl::Find(const std::string& run_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find(run_id);
  if (found == runs_.end()) {
    return absl::NotFoundError(absl::StrCat("run ", Quoted(run_id), " does not exist"));
  }
  return found->second;
}

std::vector<ActorPtr> MonitorImpl::Actors() const {
  const std::lock_guard lock(mutex_);
  std::vector<ActorPtr> actors;
  actors.reserve(runs_.size());
  for (const auto& [run_id, actor] : runs_) actors.push_back(actor);
  return actors;
}

absl::StatusOr<Monitor::Created> MonitorImpl::CreateRun(RunRecord run) {
  if (run.display_name.empty()) run.display_name = run.run_id;
  if (absl::Status s = ValidateNewRun(run, context_.options.run_limits); !s.ok()) return s;
  const std::lock_guard creating(create_mutex_);
  if (const absl::StatusOr<ActorPtr> actor = Find(run.run_id); actor.ok()) {
    return Existing(**actor, run);
  }
  const auto actors = Actors();
  const auto active = std::ranges::count_if(
      actors, [](const ActorPtr& actor) { return IsActive(actor->view()->run); });
  if (active >= context_.options.max_runs) {
    context_.usage->Of(run.project)->CountRefusal("max_runs");
    return QuotaExceeded(
        "max_runs",
        absl::StrCat("the server holds ", active, " runs that have not ended; allowed are ",
                     context_.options.max_runs),
        kRetry);
  }
  if (absl::Status s = CheckQuota(run); !s.ok()) {
    context_.usage->Of(run.project)->CountRefusal(QuotaOf(s));
    return s;
  }
  const absl::StatusOr<ActorPtr> actor = Make(std::move(run));
  if (!actor.ok()) return actor.status();
  return Created{(*actor)->view(), true};
}

absl::Status MonitorImpl::CheckQuota(const RunRecord& run) {
  const std::shared_ptr<ProjectUsage> project = context_.usage->Of(run.project);
  const Quota quota = project->quota();
  const auto exceeds = [](std::int64_t used, std::int64_t more, std::int64_t allowed) {
    return allowed > 0 && used + more > allowed;
  };
  const std::int64_t runs = project->of(Resource::kRuns);
  if (exceeds(runs, 1, quota.max_runs)) {
    return QuotaExceeded("max_runs",
                         absl::StrCat("project ", Quoted(run.project), " has ", runs,
                                      " runs that have not ended; allowed are ", quota.max_runs),
                         kRetry);
  }
  const std::int64_t probes = project->of(Resource::kProbes);
  const auto more = static_cast<std::int64_t>(run.probes.size());
  if (exceeds(probes, more, quota.max_probes)) {
    return QuotaExceeded("max_probes",
                         absl::StrCat("the runs of project ", Quoted(run.project), " have ", probes,
                                      " probes, and this one asks for ", more, "; allowed are ",
                                      quota.max_probes, " in all"),
                         kRetry);
  }
  const std::int64_t disk = project->of(Resource::kDiskBytes);
  if (exceeds(disk, 1, quota.max_disk_bytes)) {
    return QuotaExceeded(
        "max_disk_bytes",
        absl::StrCat("project ", Quoted(run.project), " has ", disk, " bytes on disk; allowed are ",
                     quota.max_disk_bytes, ": delete runs of it"),
        kRetry);
  }
  return absl::OkStatus();
}

absl::StatusOr<Monitor::Created> MonitorImpl::Existing(RunActor& actor,
                                                       const RunRecord& wanted) const {
  const ViewPtr view = actor.view();
  if (view->run.project != wanted.project) {
    return absl::AlreadyExistsError(absl::StrCat("run ", Quoted(wanted.run_id),
                                                 " belongs to another project than ",
                                                 Quoted(wanted.project)));
  }
  if (HasEnded(view->run)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "run ", Quoted(wanted.run_id), " has ended as ", std::string(Name(view->run.state))));
  }
  if (!view->run.damage.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "run ", Quoted(wanted.run_id), " was set aside and is read-only: ", view->run.damage));
  }
  if (view->run.state != RunState::kStale) return Created{view, false};
  actor.Wake();
  auto awake = std::make_shared<RunView>(*view);
  awake->run.state = RunState::kRunning;
  return Created{std::move(awake), false};
}

absl::StatusOr<ActorPtr> MonitorImpl::Make(RunRecord run) {
  std::error_code error;
  std::filesystem::remove_all(LogFolder(context_.options.log_folder, run.run_id), error);
  if (error) return absl::InternalError(absl::StrCat("removing an old log: ", error.message()));
  RunRecord fresh;
  fresh.run_id = std::move(run.run_id);
  fresh.project = std::move(run.project);
  fresh.display_name = std::move(run.display_name);
  fresh.labels = std::move(run.labels);
  fresh.user = std::move(run.user);
  fresh.hyperparameters_json = std::move(run.hyperparameters_json);
  fresh.signals = run.signals;
  fresh.policy = std::move(run.policy);
  fresh.probes = std::move(run.probes);
  fresh.create_time = context_.clock.Now();
  RunChanges changes;
  changes.states.push_back({fresh.next_cursor++, RunState::kRunning, fresh.create_time});
  changes.run = fresh;
  if (absl::Status s = context_.store.Commit(changes); !s.ok()) {
    context_.counters.CountStoreError();
    return s;
  }
  const std::string run_id = fresh.run_id;
  ActorPtr actor = RunActor::Open(context_, std::move(fresh));
  const std::lock_guard lock(mutex_);
  if (draining_) return absl::UnavailableError("the server is stopping; try again");
  return runs_.insert_or_assign(run_id, std::move(actor)).first->second;
}

absl::StatusOr<ViewPtr> MonitorImpl::GetRun(const std::string& run_id) {
  const absl::StatusOr<ActorPtr> actor = Find(run_id);
  if (!actor.ok()) return actor.status();
  return (*actor)->view();
}

std::vector<ViewPtr> MonitorImpl::ListRuns(const RunFilter& filter) {
  std::vector<ViewPtr> views;
  for (const ActorPtr& actor : Actors()) {
    ViewPtr view = actor->view();
    if (Matches(view->run, filter)) views.push_back(std::move(view));
  }
  std::ranges::sort(views, [](const ViewPtr& a, const ViewPtr& b) {
    if (a->run.create_time != b->run.create_time) return a->run.create_time > b->run.create_time;
    return a->run.run_id < b->run.run_id;
  });
  return views;
}

absl::StatusOr<ViewPtr> MonitorImpl::UpdateRun(const std::string& run_id, const RunUpdate& update) {
  absl::Status status;
  if (update.display_name) status.Update(ValidateText("display_name", *update.display_name));
  if (update.labels) status.Update(ValidateLabels(*update.labels));
  if (update.signals) status.Update(Validate(*update.signals));
  if (update.policy) status.Update(Validate(*update.policy));
  if (!status.ok()) return status;
  const absl::StatusOr<ActorPtr> actor = Find(run_id);
  if (!actor.ok()) return actor.status();
  return (*actor)->Update(update);
}

void MonitorImpl::FinishRun(const std::string& run_id, bool failed,
                            std::function<void(absl::StatusOr<ViewPtr>)> done) {
  const absl::StatusOr<ActorPtr> actor = Find(run_id);
  if (!actor.ok()) return done(actor.status());
  (*actor)->Finish(failed, std::move(done));
}

absl::Status MonitorImpl::DeleteRun(const std::string& run_id) {
  const std::lock_guard deleting(create_mutex_);
  const absl::StatusOr<ActorPtr> actor = Find(run_id);
  if (!actor.ok()) return actor.status();
  if (absl::Status s = (*actor)->Delete(); !s.ok()) return s;
  purger_.Start();
  const std::lock_guard lock(mutex_);
  runs_.erase(run_id);
  return absl::OkStatus();
}

absl::StatusOr<SessionStart> MonitorImpl::OpenSession(const std::string& run_id,
                                                      std::int64_t session_epoch,
                                                      std::shared_ptr<SessionListener> listener) {
  if (session_epoch < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("session_epoch: ", session_epoch, " got; allowed are 1 and greater"));
  }
  const absl::StatusOr<ActorPtr> actor = Find(run_id);
  if (!actor.ok()) return actor.status();
  return (*actor)->OpenSession(session_epoch, std::move(listener));
}

absl::StatusOr<std::shared_ptr<void>> MonitorImpl::Subscribe(const std::string& run_id,
                                                             std::function<void()> notify) {
  const absl::StatusOr<ActorPtr> actor = Find(run_id);
  if (!actor.ok()) return actor.status();
  return (*actor)->Subscribe(std::move(notify));
}

MonitorSnapshot MonitorImpl::Snapshot() {
  MonitorSnapshot snapshot;
  MonitorStats& stats = snapshot.stats;
  const absl::Time oldest_end = context_.clock.Now() - context_.options.linger;
  for (const ActorPtr& actor : Actors()) {
    ViewPtr view = actor->view();
    stats.estimate_backlog += actor->queued_items();
    stats.damaged_runs += view->run.damage.empty() ? 0 : 1;
    if (IsActive(view->run)) {
      ++stats.active_runs;
      stats.active_probes += static_cast<std::int64_t>(view->run.probes.size());
    } else if (!view->run.end_time || *view->run.end_time < oldest_end) {
      continue;
    }
    snapshot.runs.push_back(std::move(view));
  }
  stats.queued_bytes = context_.usage->of(Resource::kQueuedBytes);
  stats.window_bytes = context_.usage->of(Resource::kWindowBytes);
  stats.cloud_bytes = context_.usage->of(Resource::kCloudBytes);
  context_.counters.Read(stats);
  context_.usage->Visit([&](const std::string& name, const ProjectUsage& project) {
    ProjectStats& of_project = snapshot.projects[name];
    of_project.quota = project.quota();
    of_project.refusals = project.refusals();
    for (std::size_t i = 0; i < kResources; ++i) {
      of_project.used[i] = project.of(static_cast<Resource>(i));
    }
  });
  return snapshot;
}

void MonitorImpl::SetRetention(Retention retention) {
  const std::lock_guard lock(mutex_);
  retention_ = std::move(retention);
}

std::vector<ViewPtr> MonitorImpl::Expired() const {
  const std::lock_guard lock(mutex_);
  std::vector<ViewPtr> expired;
  for (const auto& [run_id, actor] : runs_) {
    ViewPtr view = actor->view();
    if (!view->run.end_time) continue;
    const auto own = retention_.of_project.find(view->run.project);
    const absl::Duration kept =
        own == retention_.of_project.end() ? retention_.by_default : own->second;
    if (context_.clock.Now() - *view->run.end_time > kept) expired.push_back(std::move(view));
    if (expired.size() == kExpiredPerTick) break;
  }
  return expired;
}

std::vector<ViewPtr> MonitorImpl::Tick() {
  for (const ActorPtr& actor : Actors()) actor->Tick();
  context_.usage->ForgetUnused(context_.clock.Monotonic(), context_.options.linger);
  std::vector<ViewPtr> deleted;
  for (ViewPtr& view : Expired()) {
    if (!DeleteRun(view->run.run_id).ok()) {
      context_.counters.CountStoreError();
      break;
    }
    context_.counters.CountExpiredRun();
    deleted.push_back(std::move(view));
  }
  return deleted;
}

void MonitorImpl::Drain() {
  const std::lock_guard creating(create_mutex_);
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
  }
  const std::vector<ActorPtr> actors = Actors();
  for (const ActorPtr& actor : actors) actor->BeginDrain();
  for (const ActorPtr& actor : actors) actor->AwaitDrained();
  purger_.Stop();
  context_.dispatcher.Flush();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Monitor>> Monitor::Start(MonitorOptions options, Store& store,
                                                        ThreadPool& pool, const Clock& clock,
                                                        EstimateObserver observer) {
  auto monitor =
      std::make_unique<MonitorImpl>(std::move(options), store, pool, clock, std::move(observer));
  if (absl::Status s = monitor->Load(); !s.ok()) return s;
  return monitor;
}

}  // namespace dimwatch
