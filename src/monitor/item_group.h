// Which items of a run are applied together, so that the clouds they complete are estimated side by
// side: a model's layers at one step.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "src/store/ingest_item.h"

namespace dimwatch {

// Batches of one step, of no more probes than are to be estimated at a time, and of each probe none
// behind its snapshot's end: what they void is older than what they give (see RunChanges). Any
// other item stays alone. Not thread-safe.
class ItemGroup {
 public:
  // REQUIRES: most_probes > 0.
  explicit ItemGroup(std::size_t most_probes) : most_probes_(most_probes) {}

  // Takes `item`, the next in order of arrival, if it may be applied together with those taken
  // before. The first one always may. Returns whether it was taken.
  bool Take(const IngestItem& item);

 private:
  bool Admits(const SampleItem* samples) const;

  const std::size_t most_probes_;
  bool empty_ = true;
  std::optional<Step> step_;      // of all; none where the group is one item of another kind
  std::set<std::string> probes_;  // of the items
  std::set<std::string> ended_;   // those whose snapshot is complete
};

}  // namespace dimwatch
