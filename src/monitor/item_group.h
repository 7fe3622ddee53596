// Which items of a run are applied and committed together: the batches of a model's layers at one
// step, so that the clouds they complete are estimated side by side; and scalars that wait, as a
// commit costs more than they do.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "src/store/ingest_item.h"

namespace dimwatch {

// Batches of one step, of no more probes than are to be estimated at a time, and of each probe none
// behind its snapshot's end; or up to kMostScalars scalar batches of rising steps. So what they
// void is older than what they give (see RunChanges). Any other item stays alone. Not thread-safe.
class ItemGroup {
 public:
  static constexpr int kMostScalars = 64;

  // REQUIRES: most_probes > 0.
  explicit ItemGroup(std::size_t most_probes) : most_probes_(most_probes) {}

  // Takes `item`, the next in order of arrival, if it may be applied together with those taken
  // before. The first one always may. Returns whether it was taken.
  bool Take(const IngestItem& item);

 private:
  bool Admits(const IngestItem& item) const;
  bool Admits(const SampleItem& samples) const;

  const std::size_t most_probes_;
  bool empty_ = true;
  std::optional<Step> step_;      // of all batches of samples; none if the group has none
  std::set<std::string> probes_;  // of the items
  std::set<std::string> ended_;   // those whose snapshot is complete
  int scalars_ = 0;               // batches of scalars
  Step last_scalars_;             // of the last one
};

}  // namespace dimwatch
