// All runs of one server: who may write, what is queued, what is known. The gRPC and HTTP adaptors
// translate to and from this class and hold no state of their own.
//
// Every run has a queue of its own and a single writer that empties it in order on the pool, so
// that a run's course never depends on other runs, and a slow estimate delays only its own run.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/monitor/cloud_share.h"
#include "src/monitor/run_pipeline.h"
#include "src/monitor/usage.h"
#include "src/store/store.h"

namespace dimwatch {

struct MonitorOptions {
  std::filesystem::path log_folder;  // one folder per run below it
  RunLimits run_limits;
  std::int64_t max_runs = 1000;                      // not ended
  std::int64_t max_queued_bytes_per_run = 64 << 20;  // beyond it sessions are told to wait
  // Of windows, queues and clouds together. Beyond the soft limit estimates are averaged over fewer
  // points, and jobs wait for their queues; beyond the hard one nothing more is taken.
  std::int64_t soft_memory_bytes = std::numeric_limits<std::int64_t>::max();
  std::int64_t hard_memory_bytes = std::numeric_limits<std::int64_t>::max();
  EngineCosts engine_costs;                   // on this machine
  absl::Duration linger = absl::Minutes(10);  // an ended run stays in Snapshot() so long
};

// How long ended runs are kept, from their end on.
struct Retention {
  absl::Duration by_default = absl::InfiniteDuration();
  std::map<std::string, absl::Duration> of_project;
};

// A run with all there is to say about its present.
struct RunView {
  RunRecord run;
  Decision decision;
  absl::Time decision_time;
  std::vector<Signal> signals;  // not kInactive
  std::vector<EstimateRecord> latest_estimates;
  std::vector<EstimateRecord> latest_profiles;  // the newest of each probe with a scale profile
  std::vector<AttentionRecord> latest_attention;
  std::vector<ScalarRecord> latest_scalars;
};

// Facts for metrics and logs; counters grow from the start of the process.
struct MonitorStats {
  std::int64_t active_runs = 0;
  std::int64_t active_probes = 0;
  std::int64_t damaged_runs = 0;      // set aside (RunRecord::damage)
  std::int64_t estimate_backlog = 0;  // items queued behind estimates
  std::int64_t queued_bytes = 0;
  std::int64_t window_bytes = 0;
  std::int64_t cloud_bytes = 0;  // CloudShare
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  std::int64_t batches = 0;
  std::int64_t store_errors = 0;
  std::int64_t expired_runs = 0;  // deleted because of their age
  std::int64_t subsampled_estimates = 0;
  std::int64_t cut_log_bytes = 0;  // of logs that ended within a record, or in zeroes, at the start
  std::map<std::string, std::int64_t>
      rejected_rows;  // by reason: "nonfinite", "invalid_argument", ...
};

// What a project uses, by Resource, and may.
struct ProjectStats {
  std::array<std::int64_t, kResources> used{};
  Quota quota;
  std::map<std::string, std::int64_t> refusals;  // by the limit that was reached
};

// One consistent view for a scrape. Immutable.
struct MonitorSnapshot {
  std::vector<std::shared_ptr<const RunView>> runs;  // running, stale, or ended within `linger`
  MonitorStats stats;
  std::map<std::string, ProjectStats> projects;
};

// Called after every estimate, from the monitor's threads. Must not block.
struct EstimateTiming {
  Estimator estimator = Estimator::kTwoNn;
  IndexKind index = IndexKind::kExact;
  double queue_seconds = 0;
  double compute_seconds = 0;
};
using EstimateObserver = std::function<void(const EstimateTiming&)>;

// One job's open stream. Called from the monitor's threads, one call at a time, in order; must not
// block and must not call back into the session.
class SessionListener {
 public:
  virtual ~SessionListener() = default;
  // Everything up to `seq` is received and logged.
  virtual void OnDurable(std::int64_t seq) = 0;
  // Records were committed.
  virtual void OnChanges(const RunChanges& changes) = 0;
  // The queue has room again, after Offer returned kWait.
  virtual void OnRoom() = 0;
  // The session is over: ABORTED (a newer one took over), NOT_FOUND (deleted), FAILED_PRECONDITION
  // (ended), UNAVAILABLE (the monitor drains). No call follows.
  virtual void OnEnd(absl::Status reason) = 0;
};

// Thread-safe; destroying it leaves the run as it is. No listener call is made after Close
// returned.
class IngestSession {
 public:
  enum class Flow { kContinue, kWait };
  struct Offered {
    RunAdmission::Rejection rejection;  // ok: the item is logged and queued, or was known before
    Flow flow = Flow::kContinue;        // kWait: offer nothing more before OnRoom
  };
  virtual ~IngestSession() = default;
  // Checks, logs and queues one item; returns without waiting for estimates.
  virtual Offered Offer(IngestItem item) = 0;
  virtual void Close() = 0;
};

struct SessionStart {
  std::unique_ptr<IngestSession> session;
  std::int64_t resume_seq = 0;
  RunView view;
};

struct RunFilter {
  std::string project;  // empty: all
  std::vector<RunState> states;
  std::map<std::string, std::string> labels;
};

struct RunUpdate {
  std::optional<std::string> display_name;
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<SignalSettings> signals;
  std::optional<PolicySettings> policy;
  std::string author;  // who asks; kept with changes of the settings
};

// Thread-safe.
class Monitor {
 public:
  // Loads every run, replays its log, and starts working. `store`, `pool` and `clock` outlive it. A
  // run that cannot be restored is set aside (RunRecord::damage) and never keeps the rest from
  // starting.
  static absl::StatusOr<std::unique_ptr<Monitor>> Start(MonitorOptions options, Store& store,
                                                        ThreadPool& pool, const Clock& clock,
                                                        EstimateObserver observer);
  virtual ~Monitor() = default;

  struct Created {
    std::shared_ptr<const RunView> view;
    bool created = false;
  };
  // Reads id, project, names, labels, user, hyperparameters, settings and probes of `run`.
  virtual absl::StatusOr<Created> CreateRun(RunRecord run) = 0;
  virtual absl::StatusOr<std::shared_ptr<const RunView>> GetRun(const std::string& run_id) = 0;
  // All that match, newest first (by create time, then id).
  virtual std::vector<std::shared_ptr<const RunView>> ListRuns(const RunFilter& filter) = 0;
  virtual absl::StatusOr<std::shared_ptr<const RunView>> UpdateRun(const std::string& run_id,
                                                                   const RunUpdate& update) = 0;
  // Ends the run behind everything queued, then calls `done` once, from any thread.
  virtual void FinishRun(
      const std::string& run_id, bool failed,
      std::function<void(absl::StatusOr<std::shared_ptr<const RunView>>)> done) = 0;
  virtual absl::Status DeleteRun(const std::string& run_id) = 0;

  virtual absl::StatusOr<SessionStart> OpenSession(const std::string& run_id,
                                                   std::int64_t session_epoch,
                                                   std::shared_ptr<SessionListener> listener) = 0;

  // Calls `notify` (which must not block) after every commit to the run, and when it is deleted,
  // until the returned handle is destroyed. Readers then look into the store. NOT_FOUND for an
  // unknown run.
  virtual absl::StatusOr<std::shared_ptr<void>> Subscribe(const std::string& run_id,
                                                          std::function<void()> notify) = 0;

  // For a cloud that is estimated beside the runs and counts for `project`.
  virtual std::unique_ptr<CloudShare> OpenCloud(const std::string& project) = 0;

  virtual MonitorSnapshot Snapshot() = 0;
  // Kept from the next Tick on; before, everything is.
  virtual void SetRetention(Retention retention) = 0;
  // From now on; before, there are none.
  virtual void SetQuotas(Quotas quotas) = 0;
  // Housekeeping by the clock: stalled and stale runs; ended runs that are older than their
  // retention are deleted, a few at a time, and returned. To be called about once a second.
  virtual std::vector<std::shared_ptr<const RunView>> Tick() = 0;
  // Ends all sessions, finishes what is being estimated, commits, and returns. Nothing acknowledged
  // is lost: what is still queued is in the logs.
  virtual void Drain() = 0;
};

}  // namespace dimwatch
