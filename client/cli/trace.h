// A recorded run: a folder with trace.jsonl, and .npy clouds beside it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/attention/settings.h"
#include "src/base/types.h"

namespace dimwatch::cli {

struct TraceSamples {
  std::string probe;
  std::filesystem::path file;  // the folder's path included
};

// Attention maps, or what was counted of them.
struct TraceAttention {
  std::string probe;
  AttentionSettings settings;  // heads: 0 where the file tells
  // Maps, prompts x heads x positions, the folder's path included; or empty.
  std::filesystem::path file;
  std::vector<std::int32_t> first_positions;  // of the file; see AttentionRows
  std::vector<std::int32_t> query_positions;
  // Without a file: what the client counted.
  std::vector<std::int64_t> dimensions;
  std::int64_t positions = 0;
  std::int64_t invalid = 0;
  std::vector<std::int64_t> ids;  // empty, or one per prompt
};

// Everything that was recorded at one step.
struct TraceStep {
  int line = 0;  // of trace.jsonl, counted from 1: where the step begins
  Step step;
  std::map<std::string, double> scalars;
  std::vector<TraceSamples> samples;      // in the order of recording
  std::vector<TraceAttention> attention;  // likewise
};

// Reads trace.jsonl, not the clouds. Lines that follow each other with the same step become one;
// a step that is below the one before it is a job that restarted. A scalar that is null (a number
// that was not finite) is left out; members that are not known are ignored. NOT_FOUND where there
// is no trace; INVALID_ARGUMENT, with file and line, for a line that is no JSON object, lacks a
// step >= 0, or has scalars, samples or attention of another shape.
absl::StatusOr<std::vector<TraceStep>> ReadTrace(const std::filesystem::path& folder);

}  // namespace dimwatch::cli
