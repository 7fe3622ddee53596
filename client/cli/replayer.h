// Plays recorded runs through the server's own signals and policy, and, where vectors were
// recorded, through its windows and estimators.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/estimator_flags.h"
#include "client/cli/recorded_course.h"
#include "client/cli/replay_config.h"
#include "client/cli/trace.h"
#include "src/store/records.h"

namespace dimwatch::cli {

// What comes of a replay, in order.
class ReplaySink {
 public:
  virtual ~ReplaySink() = default;
  virtual void Add(const RunChanges& changes) = 0;
  // A server rejects one item and goes on; so does a replay.
  virtual void Rejected(Step step, const std::string& probe, const std::string& reason) = 0;
  // The decision in force at the end.
  virtual void Finish(const Decision& decision) = 0;
};

// A trace, or a course where `recording` is a file: estimates that are judged as they are, whatever
// the configuration and the flags say of estimators and windows. INVALID_ARGUMENT where the
// configuration names a probe that the recording does not have; errors of ReadTrace,
// ReadRecordedCourse and of the configuration's own values.
absl::Status Replay(const std::filesystem::path& recording, const ReplayConfig& config,
                    const EstimatorFlags& flags, int threads, ReplaySink& sink);

// The two of it.
absl::Status ReplayTrace(const std::vector<TraceStep>& trace, const ReplayConfig& config,
                         const EstimatorFlags& flags, int threads, ReplaySink& sink);
void ReplayCourse(const RecordedCourse& course, const ReplayConfig& config, ReplaySink& sink);

}  // namespace dimwatch::cli
