#include "tests/monitor/monitor_fixture.h"

#include <future>
#include <utility>

#include "src/monitor/stored_run.h"
#include "tests/store/describe.h"

namespace dimwatch::testing {

void RecordingListener::OnDurable(std::int64_t seq) {
  Tell([&](Told& told) { told.durable_seq = seq; });
}

void RecordingListener::OnChanges(const RunChanges& changes) {
  Tell([&](Told& told) {
    told.estimates.insert(told.estimates.end(), changes.estimates.begin(), changes.estimates.end());
    told.signals.insert(told.signals.end(), changes.signals.begin(), changes.signals.end());
  });
}

void RecordingListener::OnRoom() {
  Tell([](Told& told) { ++told.rooms; });
}

void RecordingListener::OnEnd(absl::Status reason) {
  Tell([&](Told& told) { told.end = std::move(reason); });
}

void RecordingListener::Tell(const std::function<void(Told&)>& change) {
  const std::lock_guard lock(mutex_);
  if (told_.end) told_.told_after_end = true;
  change(told_);
  changed_.notify_all();
}

bool RecordingListener::WaitUntil(const std::function<bool(const Told&)>& holds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kDeadline, [&] { return holds(told_); });
}

bool RecordingListener::WaitForEstimates(std::size_t count) {
  return WaitUntil([count](const Told& told) { return told.estimates.size() >= count; });
}

RecordingListener::Told RecordingListener::told() {
  const std::lock_guard lock(mutex_);
  return told_;
}

absl::Status FailingStore::Commit(const RunChanges& changes) {
  if (fails) return absl::ResourceExhaustedError("the disk is full");
  return store_.Commit(changes);
}
absl::Status FailingStore::DeleteRun(const std::string& run_id) { return store_.DeleteRun(run_id); }
absl::StatusOr<bool> FailingStore::Purge() { return store_.Purge(); }
absl::StatusOr<std::vector<RunRecord>> FailingStore::LoadRuns() { return store_.LoadRuns(); }
absl::StatusOr<std::vector<EstimateRecord>> FailingStore::ReadEstimates(const std::string& run_id,
                                                                        const SeriesQuery& query) {
  return store_.ReadEstimates(run_id, query);
}
absl::StatusOr<std::vector<AttentionRecord>> FailingStore::ReadAttention(const std::string& run_id,
                                                                         const SeriesQuery& query) {
  return store_.ReadAttention(run_id, query);
}
absl::StatusOr<std::vector<ScalarRecord>> FailingStore::ReadScalars(const std::string& run_id,
                                                                    const SeriesQuery& query) {
  return store_.ReadScalars(run_id, query);
}
absl::StatusOr<std::vector<SignalRecord>> FailingStore::ReadSignals(const std::string& run_id,
                                                                    std::int64_t after, int limit) {
  return store_.ReadSignals(run_id, after, limit);
}
absl::StatusOr<std::vector<DecisionRecord>> FailingStore::ReadDecisions(const std::string& run_id,
                                                                        std::int64_t after,
                                                                        int limit) {
  return store_.ReadDecisions(run_id, after, limit);
}
absl::StatusOr<std::vector<SettingsRecord>> FailingStore::ReadSettings(const std::string& run_id,
                                                                       std::int64_t after,
                                                                       int limit) {
  return store_.ReadSettings(run_id, after, limit);
}
absl::StatusOr<std::vector<EventRecord>> FailingStore::ReadEvents(const std::string& run_id,
                                                                  std::int64_t after, int limit) {
  return store_.ReadEvents(run_id, after, limit);
}

MonitorFixture::MonitorFixture(std::size_t threads) {
  options_.log_folder = folder_.path() / "logs";
  Start(threads);
}

MonitorFixture::~MonitorFixture() { Stop(); }

void MonitorFixture::Start(std::size_t threads) {
  Stop();
  auto store = SqliteStore::Open(folder_.path() / "store.db");
  EXPECT_TRUE(store.ok()) << store.status();
  sqlite_ = *std::move(store);
  store_ = std::make_unique<FailingStore>(*sqlite_);
  pool_ = std::make_unique<ThreadPool>(threads);
  auto monitor = Monitor::Start(options_, *store_, *pool_, clock_, {});
  EXPECT_TRUE(monitor.ok()) << monitor.status();
  monitor_ = *std::move(monitor);
}

void MonitorFixture::Stop() {
  monitor_.reset();
  pool_.reset();
  store_.reset();
  sqlite_.reset();
}

void MonitorFixture::Create(const std::string& run_id, std::vector<ProbeSettings> probes) {
  const auto created = monitor_->CreateRun(NewRun(run_id, std::move(probes)));
  ASSERT_TRUE(created.ok()) << created.status();
  ASSERT_TRUE(created->created);
}

void MonitorFixture::Job::MustOffer(IngestItem item) {
  const IngestSession::Offered offered = Offer(std::move(item));
  ASSERT_TRUE(offered.rejection.status.ok()) << offered.rejection.status;
}

MonitorFixture::Job MonitorFixture::Open(const std::string& run_id, std::int64_t epoch) {
  Job job;
  absl::StatusOr<SessionStart> start = monitor_->OpenSession(run_id, epoch, job.listener);
  EXPECT_TRUE(start.ok()) << start.status();
  if (start.ok()) job.start = *std::move(start);
  return job;
}

absl::StatusOr<std::shared_ptr<const RunView>> MonitorFixture::Finish(const std::string& run_id,
                                                                      bool failed) {
  const auto done =
      std::make_shared<std::promise<absl::StatusOr<std::shared_ptr<const RunView>>>>();
  monitor_->FinishRun(run_id, failed, [done](auto result) { done->set_value(std::move(result)); });
  auto result = done->get_future();
  if (result.wait_for(kDeadline) == std::future_status::ready) return result.get();
  return absl::DeadlineExceededError("FinishRun did not end");
}

std::shared_ptr<const RunView> MonitorFixture::View(const std::string& run_id) {
  const auto view = monitor_->GetRun(run_id);
  EXPECT_TRUE(view.ok()) << view.status();
  return view.ok() ? *view : std::make_shared<const RunView>();
}

std::vector<std::string> MonitorFixture::History(const std::string& run_id) {
  const auto history = ReadHistory(*store_, run_id);
  EXPECT_TRUE(history.ok()) << history.status();
  return history.ok() ? DescribeAll(*history) : std::vector<std::string>();
}

}  // namespace dimwatch::testing
