// The recorded course of a run: its estimates and scalars as JSON lines, in the order in which they
// came. `dimwatch replay --json`, `dimwatch watch --json` and `dimwatch export` write it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/store/store.h"

namespace dimwatch::cli {

struct RecordedCourse {
  std::vector<std::string> probes;  // in the order of their first estimates
  // Of the kinds that a judge is told of: EstimateRecord, ScalarRecord and RewindRecord, by cursor.
  std::vector<EventRecord> events;
};

// Lines of other types (what the run was judged to be, its clouds' scale) are skipped. An estimate
// must have step, probe and mean (null where undefined), a scalar step, name and value; what an
// estimate does not say of its cloud has its default, the rows that of all that it does count. A
// step at or below the last one of its series replaces what came later. NOT_FOUND where there is no
// such file; INVALID_ARGUMENT, with file and line, for a line that is no JSON object with a type,
// lacks a member or has one of another type.
absl::StatusOr<RecordedCourse> ReadRecordedCourse(const std::filesystem::path& file);

}  // namespace dimwatch::cli
