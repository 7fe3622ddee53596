// What a job sends, as the core sees it. Items of a run are numbered: seq strictly increases over
// all kinds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "src/base/dtype.h"
#include "src/base/types.h"
#include "src/window/settings.h"

namespace dimwatch {

struct DeclarationItem {
  std::int64_t seq = 0;
  ProbeSettings settings;  // defaults resolved
};

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
  std::int64_t dropped_rows = 0;  // rows of this step that the client dropped
};

struct ScalarItem {
  std::int64_t seq = 0;
  Step step;
  std::map<std::string, double> values;  // finite
};

using IngestItem = std::variant<DeclarationItem, SampleItem, ScalarItem>;

std::int64_t SeqOf(const IngestItem& item);
// Approximate memory it takes, in bytes.
std::int64_t BytesOf(const IngestItem& item);

}  // namespace dimwatch
