// What all runs of one monitor share.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "src/base/clock.h"
#include "src/base/thread_pool.h"
#include "src/monitor/dispatcher.h"
#include "src/monitor/monitor.h"
#include "src/monitor/usage.h"
#include "src/store/store.h"

namespace dimwatch {

// Thread-safe.
class Counters {
 public:
  void CountBatch(std::int64_t rows, std::int64_t bytes);
  void CountRejectedRows(const std::string& reason, std::int64_t rows);
  void CountStoreError() { ++store_errors_; }
  void CountExpiredRun() { ++expired_runs_; }
  void CountSubsampled() { ++subsampled_estimates_; }
  void CountCutLog(std::int64_t bytes) { cut_log_bytes_ += bytes; }
  // Fills the counters of `stats`.
  void Read(MonitorStats& stats) const;

 private:
  std::atomic<std::int64_t> rows_{0};
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<std::int64_t> batches_{0};
  std::atomic<std::int64_t> store_errors_{0};
  std::atomic<std::int64_t> expired_runs_{0};
  std::atomic<std::int64_t> subsampled_estimates_{0};
  std::atomic<std::int64_t> cut_log_bytes_{0};
  mutable std::mutex mutex_;
  std::map<std::string, std::int64_t> rejected_rows_;  // guarded by mutex_
};

struct MonitorContext {
  MonitorOptions options;
  Store& store;
  ThreadPool& pool;
  const Clock& clock;
  EstimateObserver observer;
  Counters counters;
  std::shared_ptr<ServerUsage> usage;
  Dispatcher dispatcher;
};

}  // namespace dimwatch
