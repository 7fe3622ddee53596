// A recorded run: a folder with trace.jsonl, and .npy clouds beside it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/base/types.h"

namespace dimwatch::cli {

struct TraceSamples {
  std::string probe;
  std::filesystem::path file;  // the folder's path included
};

// Everything that was recorded at one step.
struct TraceStep {
  int line = 0;  // of trace.jsonl, counted from 1: where the step begins
  Step step;
  std::map<std::string, double> scalars;
  std::vector<TraceSamples> samples;  // in the order of recording
};

// Reads trace.jsonl, not the clouds. Lines that follow each other with the same step become one;
// a step that is below the one before it is a job that restarted. A scalar that is null (a number
// that was not finite) is left out; members that are not known are ignored. NOT_FOUND where there
// is no trace; INVALID_ARGUMENT, with file and line, for a line that is no JSON object, lacks a
// step >= 0, or has scalars or samples of another shape.
absl::StatusOr<std::vector<TraceStep>> ReadTrace(const std::filesystem::path& folder);

}  // namespace dimwatch::cli
