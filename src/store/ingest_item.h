// What a job sends, as the core sees it. Items of a run are numbered: seq strictly increases over
// all kinds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "src/attention/attended.h"
#include "src/base/dtype.h"
#include "src/base/types.h"
#include "src/window/settings.h"

namespace dimwatch {

struct DeclarationItem {
  std::int64_t seq = 0;
  ProbeSettings settings;  // defaults resolved
};

// What there was too little of for a whole estimate.
enum class Scarcity { kNone, kQueue, kMemory, kCompute };

struct SampleItem {
  std::int64_t seq = 0;
  std::string probe;
  Step step;
  int rank = 0;
  DType dtype = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  std::string data;                      // rows x dim components, row-major, little-endian
  std::vector<std::int64_t> sample_ids;  // empty, or one per row
  bool snapshot_end = false;
  std::int64_t dropped_rows = 0;  // rows of this step that the client dropped, or that were refused
  // Set when the item was taken, and kept with it: the clouds that it completes are averaged over
  // no more points. 0: over as many as the probe says.
  std::int64_t max_queries = 0;
  Scarcity scarcity = Scarcity::kNone;  // why
};

struct ScalarItem {
  std::int64_t seq = 0;
  Step step;
  std::map<std::string, double> values;  // finite
};

// Attention maps of one probe at one step; either `data` or `dimensions` has something of every
// prompt (src/attention/attended.h).
struct AttentionItem {
  std::int64_t seq = 0;
  std::string probe;
  Step step;
  DType dtype = DType::kF32;
  std::int64_t prompts = 0;
  std::int64_t heads = 0;
  std::int64_t positions = 0;
  std::string data;                           // prompts x heads x positions, as AttentionRows
  std::vector<std::int64_t> dimensions;       // or ID_eps of each prompt, as the client counted it
  std::vector<std::int64_t> prompt_ids;       // empty, or one per prompt
  std::vector<std::int32_t> first_positions;  // likewise, with `data` only
  std::vector<std::int32_t> query_positions;  // likewise
  std::int64_t invalid_prompts = 0;           // with `dimensions`: left out, not finite
  std::int64_t dropped_prompts = 0;           // of this step: by the client, or refused
  bool snapshot_end = false;
};

using IngestItem = std::variant<DeclarationItem, SampleItem, ScalarItem, AttentionItem>;

// The maps of an item that holds `data`. Lives no longer than it.
AttentionRows AttentionRowsOf(const AttentionItem& item);

std::int64_t SeqOf(const IngestItem& item);
// Approximate memory it takes, in bytes.
std::int64_t BytesOf(const IngestItem& item);

}  // namespace dimwatch
