// A real monitor on a real store, log and pool, with a clock that the test moves.
#pragma once

#include <gmock/gmock.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/monitor/monitor.h"
#include "src/store/sqlite_store.h"
#include "tests/monitor/job.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch::testing {

// Longer than anything in a test takes; what waits gives up then.
inline constexpr std::chrono::seconds kDeadline(60);

// Keeps what a session was told. Thread-safe.
class RecordingListener final : public SessionListener {
 public:
  struct Told {
    std::int64_t durable_seq = 0;
    std::vector<EstimateRecord> estimates;
    std::vector<SignalRecord> signals;
    int rooms = 0;
    std::optional<absl::Status> end;
    bool told_after_end = false;
  };

  void OnDurable(std::int64_t seq) override;
  void OnChanges(const RunChanges& changes) override;
  void OnRoom() override;
  void OnEnd(absl::Status reason) override;

  // Waits until it holds; false at the deadline.
  bool WaitUntil(const std::function<bool(const Told&)>& holds);
  bool WaitForEstimates(std::size_t count);
  Told told();

 private:
  void Tell(const std::function<void(Told&)>& change);

  std::mutex mutex_;
  std::condition_variable changed_;
  Told told_;
};

// A store that fails when told to.
class FailingStore final : public Store {
 public:
  explicit FailingStore(Store& store) : store_(store) {}
  std::atomic<bool> fails{false};

  absl::Status Commit(const RunChanges& changes) override;
  absl::Status DeleteRun(const std::string& run_id) override;
  absl::StatusOr<bool> Purge() override;
  absl::StatusOr<std::vector<RunRecord>> LoadRuns() override;
  absl::StatusOr<std::vector<EstimateRecord>> ReadEstimates(const std::string& run_id,
                                                            const SeriesQuery& query) override;
  absl::StatusOr<std::vector<AttentionRecord>> ReadAttention(const std::string& run_id,
                                                             const SeriesQuery& query) override;
  absl::StatusOr<std::vector<ScalarRecord>> ReadScalars(const std::string& run_id,
                                                        const SeriesQuery& query) override;
  absl::StatusOr<std::vector<SignalRecord>> ReadSignals(const std::string& run_id,
                                                        std::int64_t after, int limit) override;
  absl::StatusOr<std::vector<DecisionRecord>> ReadDecisions(const std::string& run_id,
                                                            std::int64_t after, int limit) override;
  absl::StatusOr<std::vector<SettingsRecord>> ReadSettings(const std::string& run_id,
                                                           std::int64_t after, int limit) override;
  absl::StatusOr<std::vector<EventRecord>> ReadEvents(const std::string& run_id, std::int64_t after,
                                                      int limit) override;

 private:
  Store& store_;
};

class MonitorFixture : public ::testing::Test {
 protected:
  explicit MonitorFixture(std::size_t threads = 2);
  ~MonitorFixture() override;

  // Ends the monitor, if there is one, and starts one on the same folder.
  void Start(std::size_t threads = 2);
  void Stop();

  void Create(const std::string& run_id,
              std::vector<ProbeSettings> probes = {SnapshotProbe("train/a")});
  struct Job {
    std::shared_ptr<RecordingListener> listener = std::make_shared<RecordingListener>();
    SessionStart start;

    IngestSession::Offered Offer(IngestItem item) { return start.session->Offer(std::move(item)); }
    void MustOffer(IngestItem item);
  };
  Job Open(const std::string& run_id, std::int64_t epoch = 1);
  absl::StatusOr<std::shared_ptr<const RunView>> Finish(const std::string& run_id,
                                                        bool failed = false);
  std::shared_ptr<const RunView> View(const std::string& run_id);
  std::vector<std::string> History(const std::string& run_id);

  TempFolder folder_;
  ManualClock clock_;
  MonitorOptions options_;
  std::unique_ptr<SqliteStore> sqlite_;
  std::unique_ptr<FailingStore> store_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Monitor> monitor_;
};

}  // namespace dimwatch::testing
