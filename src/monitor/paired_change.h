// The change of the mean LID between two snapshots of the same inputs.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "src/lid/cloud_estimate.h"

namespace dimwatch {

// Numbers by the input that a row embeds: its sample id, or its row where no ids were given. By
// ascending input, each once.
using ByInput = std::vector<std::pair<std::int64_t, double>>;

// What is kept of a snapshot to compare the next one with.
struct SnapshotLids {
  bool by_sample_id = false;
  ByInput lids;    // the valid ones
  ByInput shifts;  // PointwiseLid::shift
};

// `sample_ids` is empty or has one id per row. Of rows with the same id the first is kept.
SnapshotLids KeyedByInput(const PointwiseLid& pointwise,
                          const std::vector<std::int64_t>& sample_ids);

struct PairedChange {
  double mean = 0;            // of lid(current) - lid(previous)
  double standard_error = 0;  // of `mean`, for a new draw of the inputs
};

// The mean is over the inputs that are in both; none below two valid ones, or if the two are not
// keyed alike. An input that pulls both snapshots alike does not count for the error:
//   variance = sum (shift(current) - shift(previous))^2, over the inputs in either; 0 where not in.
std::optional<PairedChange> Compare(const SnapshotLids& previous, const SnapshotLids& current);

}  // namespace dimwatch
