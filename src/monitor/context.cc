#include "src/monitor/context.h"

namespace dimwatch {

void Counters::CountBatch(std::int64_t rows, std::int64_t bytes) {
  ++batches_;
  rows_ += rows;
  bytes_ += bytes;
}

void Counters::CountRejectedRows(const std::string& reason, std::int64_t rows) {
  const std::lock_guard lock(mutex_);
  rejected_rows_[reason] += rows;
}

void Counters::Read(MonitorStats& stats) const {
  stats.rows = rows_;
  stats.bytes = bytes_;
  stats.batches = batches_;
  stats.store_errors = store_errors_;
  stats.expired_runs = expired_runs_;
  stats.subsampled_estimates = subsampled_estimates_;
  stats.cut_log_bytes = cut_log_bytes_;
  const std::lock_guard lock(mutex_);
  stats.rejected_rows = rejected_rows_;
}

}  // namespace dimwatch
