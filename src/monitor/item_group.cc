#include "src/monitor/item_group.h"

#include <variant>

namespace dimwatch {

bool ItemGroup::Take(const IngestItem& item) {
  const auto* samples = std::get_if<SampleItem>(&item);
  if (!empty_ && !Admits(samples)) return false;
  empty_ = false;
  if (samples == nullptr) return true;
  step_ = samples->step;
  probes_.insert(samples->probe);
  if (samples->snapshot_end) ended_.insert(samples->probe);
  return true;
}

bool ItemGroup::Admits(const SampleItem* samples) const {
  if (samples == nullptr || samples->step != step_) return false;
  if (probes_.contains(samples->probe)) return !ended_.contains(samples->probe);
  return probes_.size() < most_probes_;
}

}  // namespace dimwatch
