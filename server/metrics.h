// What /metrics says. docs/metrics.md lists every name; all have the prefix dimwatch_.
//
// Guaranteed:
//  1. One page is made from one MonitorSnapshot: it is consistent, and a run that left the snapshot
//     leaves the page.
//  2. A metric without a value is absent, never NaN or 0. Labels are valid UTF-8 on one line.
//  3. At most `max_series` per-run series; the runs that come last in the snapshot lose theirs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "src/access/token.h"
#include "src/monitor/monitor.h"

namespace dimwatch::server {

// From when to when a token is good, in one of its projects; none that is good for ever.
struct TokenLife {
  std::string id;
  std::string project;
  absl::Time create_time;
  absl::Time expire_time;
};

// What the server itself counts and times. Thread-safe; none of it carries a run's name.
class ServerMetrics : public prometheus::Collectable {
 public:
  ServerMetrics();

  // Once, at the start.
  void SetEngineCosts(const EngineCosts& costs);

  void SetStoreWasDamaged(bool damaged);
  // Whenever they were read.
  void SetCertificateExpiry(absl::Time expire_time);
  void SetTokens(const std::vector<Token>& tokens);
  void SetMemoryLimits(std::int64_t soft_bytes, std::int64_t hard_bytes);

  void ObserveEstimate(const EstimateTiming& timing);
  // From the arrival of an item to its durability.
  void ObserveAck(double seconds);
  // Rows of an item that never reached the monitor.
  void CountRejectedRows(const std::string& reason, std::int64_t rows);
  // An RPC ended. `method` is one that is served ("GetRun"), `code` a canonical name ("NOT_FOUND").
  void CountHandled(const std::string& method, const std::string& code);

  // One was closed for what it did (connection_guard.h).
  void CountAbusiveConnection();

  // `route` is one of few (http_api.h).
  void CountHttpRequest(const std::string& route, int status);

  std::map<std::string, std::int64_t> rejected_rows() const;
  std::vector<TokenLife> tokens() const;
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Histogram>& estimate_duration_;
  prometheus::Histogram& ack_;
  prometheus::Histogram& estimate_queue_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Counter>& http_requests_;
  prometheus::Counter& abusive_connections_;
  mutable std::mutex mutex_;
  std::map<std::string, std::int64_t> rejected_rows_;  // guarded by mutex_
  std::vector<TokenLife> tokens_;                      // guarded by mutex_
};

// Everything on /metrics. Thread-safe.
class MetricsPage {
 public:
  // Both outlive it.
  MetricsPage(Monitor& monitor, const ServerMetrics& server, std::int64_t max_series)
      : monitor_(monitor), server_(server), max_series_(max_series) {}

  // In Prometheus' text format, with the runs of the projects that are `visible`.
  using Visible = std::function<bool(const std::string& project)>;
  std::string Text(const Visible& visible) const;

 private:
  Monitor& monitor_;
  const ServerMetrics& server_;
  std::int64_t max_series_;
  mutable std::atomic<bool> over_limit_ = false;  // said in the log, once
};

// The per-run series of a snapshot in Prometheus' text format, and how many there are: at most
// `max_series`. Written here because prometheus-cpp takes four times as long
// (tests/bench/scrape_bench.cc).
struct RunSeries {
  std::string text;
  std::int64_t series = 0;
  std::int64_t left_out = 0;
};
RunSeries SeriesOf(const MonitorSnapshot& snapshot, std::int64_t max_series);

}  // namespace dimwatch::server
