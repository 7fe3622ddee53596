// The change of the mean LID between two snapshots of the same inputs.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "src/lid/cloud_estimate.h"

namespace dimwatch {

// The valid pointwise LID of one snapshot by the input that each row embeds: its sample id, or its
// row where no ids were given.
struct LidByInput {
  bool by_sample_id = false;
  std::vector<std::pair<std::int64_t, double>> lids;  // by ascending input, each once
};

// `sample_ids` is empty or has one id per row. Of rows with the same id the first is kept.
LidByInput ByInput(const PointwiseLid& pointwise, const std::vector<std::int64_t>& sample_ids);

struct PairedChange {
  double mean = 0;            // of lid(current) - lid(previous)
  double standard_error = 0;  // of `mean`
};

// Over the inputs that are valid in both; none below two, or if the two are not keyed alike. The
// standard error is sd / sqrt(n): it takes the differences as independent. Neighborhoods overlap,
// so it is too small; how much is not yet accounted for.
std::optional<PairedChange> Compare(const LidByInput& previous, const LidByInput& current);

}  // namespace dimwatch
