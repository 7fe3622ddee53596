// What QueryService answers, without gRPC; the HTTP API serves the same.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dimwatch/v1/query.pb.h"
#include "src/monitor/monitor.h"
#include "src/store/store.h"

namespace dimwatch::server {

// What does not change while the server runs.
struct ServerFacts {
  absl::Time start_time;
  int compute_threads = 0;
  std::int64_t max_batch_bytes = 0;
  std::int64_t max_runs = 0;
};

// Thread-safe. Waits for the store.
class QueryHandlers {
 public:
  QueryHandlers(Monitor& monitor, Store& store, ServerFacts facts)
      : monitor_(monitor), store_(store), facts_(facts) {}

  absl::Status ListEstimates(const v1::ListEstimatesRequest& request,
                             v1::ListEstimatesResponse& response);
  absl::Status ListAttentionEstimates(const v1::ListAttentionEstimatesRequest& request,
                                      v1::ListAttentionEstimatesResponse& response);
  absl::Status ListScalars(const v1::ListScalarsRequest& request,
                           v1::ListScalarsResponse& response);
  absl::Status ListSignals(const v1::ListSignalsRequest& request,
                           v1::ListSignalsResponse& response);
  absl::Status ListDecisions(const v1::ListDecisionsRequest& request,
                             v1::ListDecisionsResponse& response);
  absl::Status ListSettingsChanges(const v1::ListSettingsChangesRequest& request,
                                   v1::ListSettingsChangesResponse& response);
  absl::Status GetDecision(const v1::GetDecisionRequest& request,
                           v1::GetDecisionResponse& response);
  absl::Status CompareRuns(const v1::CompareRunsRequest& request,
                           v1::CompareRunsResponse& response);
  absl::Status GetLayerProfile(const v1::GetLayerProfileRequest& request,
                               v1::GetLayerProfileResponse& response);
  absl::Status GetServerInfo(const v1::GetServerInfoRequest& request,
                             v1::GetServerInfoResponse& response);

  // For WatchRun: what happened behind `after_cursor`, in order, about `limit` events.
  absl::StatusOr<std::vector<v1::WatchRunResponse>> Events(const std::string& run_id,
                                                           std::int64_t after_cursor, int limit);
  // For WatchRun: true if nothing more will happen in the run.
  absl::StatusOr<bool> HasEnded(const std::string& run_id);

 private:
  absl::StatusOr<std::vector<v1::SeriesPoint>> Series(const std::string& run_id,
                                                      const v1::CompareRunsRequest& request);

  Monitor& monitor_;
  Store& store_;
  ServerFacts facts_;
};

// At most `most` of the points, evenly spread, among them the first, the last, the lowest and the
// highest. REQUIRES: most >= 4.
std::vector<v1::SeriesPoint> Thin(std::vector<v1::SeriesPoint> points, std::size_t most);

}  // namespace dimwatch::server
