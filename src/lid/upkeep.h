// What of a rolling window's neighbors is kept from one estimate to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/knn/engine_choice.h"
#include "src/lid/settings.h"

namespace dimwatch {

enum class Upkeep {
  kNone,    // the window is estimated as a cloud at rest
  kLists,   // exact neighbor lists (RollingCloud): to the last bit what a search would find
  kGraphs,  // the graphs of generations (Generations)
};

struct UpkeepChoice {
  Upkeep upkeep = Upkeep::kNone;
  std::string reason;  // in one sentence; empty for kNone, where the search has its own
};

struct RollingShape {
  std::int64_t window_points = 0;
  std::int64_t estimate_every = 0;
  std::size_t dim = 0;
};

// What is expected to be the cheapest for a full window, from one estimate to the next, of what
// gives the index that `settings` ask for. `costs` decide between exact and approximate lists alone
// (where kAuto leaves that open), never between graphs that are kept and those that are not: with
// an index that is named, estimates are the same on every machine. Nothing is kept where an
// estimate is not one of all the rows: with max_points below the window, a duplicate_tolerance or a
// target_standard_error; nor lists where few points are asked.
UpkeepChoice ChooseUpkeep(const EstimatorSettings& settings, const RollingShape& shape,
                          const EngineCosts& costs);

}  // namespace dimwatch
