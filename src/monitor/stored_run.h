// What the disk has of a run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/monitor/monitor.h"
#include "src/store/store.h"

namespace dimwatch {

// The folder of a run's log: "/" becomes "+", so that it is one folder, whatever the id.
std::filesystem::path LogFolder(const std::filesystem::path& logs, const std::string& run_id);

// Where the log of a run waits for its removal while the run is being deleted.
std::filesystem::path DeletedLogFolder(const std::filesystem::path& logs,
                                       const std::string& run_id);

// Ends what a kill may have interrupted: removes the logs of ended runs, and those whose run was
// deleted; a log whose run was not is put back. `runs` are all that the store has.
void TidyLogs(const std::filesystem::path& logs, const std::vector<RunRecord>& runs);

// All events of the run by ascending cursor.
absl::StatusOr<std::vector<EventRecord>> ReadHistory(Store& store, const std::string& run_id);

// A run that is not written any more, without reading all of its history. Its latest scalars are
// looked for among the last 1000 to 2000 or so that it reported. What cannot be read is left out
// and becomes the run's `damage`, if it has none.
RunView StoredView(Store& store, RunRecord run);

}  // namespace dimwatch
