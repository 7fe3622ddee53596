// What RunService does, without gRPC: validate, look up, act, convert.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "dimwatch/v1/run.pb.h"
#include "server/access.h"
#include "server/project_defaults.h"
#include "src/monitor/monitor.h"

namespace dimwatch::server {

// Thread-safe. May wait for the store.
class RunHandlers {
 public:
  explicit RunHandlers(Monitor& monitor) : monitor_(monitor) {}

  // For runs that are created or updated from now on.
  void SetProjects(ProjectDefaults projects);

  absl::Status CreateRun(const v1::CreateRunRequest& request, v1::CreateRunResponse& response);
  absl::Status GetRun(const v1::GetRunRequest& request, v1::GetRunResponse& response);
  // Of the projects that `principal` may see.
  absl::Status ListRuns(const Principal& principal, const v1::ListRunsRequest& request,
                        v1::ListRunsResponse& response);
  // `author` is kept with changes of how the run is judged.
  absl::Status UpdateRun(const v1::UpdateRunRequest& request, const std::string& author,
                         v1::UpdateRunResponse& response);
  // Calls `done` once, from any thread; `response` must live until then.
  void FinishRun(const v1::FinishRunRequest& request, v1::FinishRunResponse& response,
                 std::function<void(absl::Status)> done);
  absl::Status DeleteRun(const v1::DeleteRunRequest& request, v1::DeleteRunResponse& response);

 private:
  // The run with the defaults of its project.
  v1::Run Completed(v1::Run run) const;

  Monitor& monitor_;
  std::mutex update_mutex_;  // held by UpdateRun, which keeps the fields that it is not to change
  mutable std::mutex mutex_;
  ProjectDefaults projects_;  // guarded by mutex_
};

}  // namespace dimwatch::server
