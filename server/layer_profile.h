// The mean LID of a model's layers at one step, side by side.
#pragma once

#include "absl/status/status.h"
#include "dimwatch/v1/query.pb.h"
#include "src/monitor/monitor.h"
#include "src/store/store.h"

namespace dimwatch::server {

// Fills `response` with the layers of the run in `view`, whose estimates `store` has. Waits for the
// store. INVALID_ARGUMENT for a split that is none.
absl::Status FillLayerProfile(const RunView& view, Store& store,
                              const v1::GetLayerProfileRequest& request,
                              v1::GetLayerProfileResponse& response);

}  // namespace dimwatch::server
