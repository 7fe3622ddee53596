#include "src/monitor/item_group.h"

#include <variant>

namespace dimwatch {

bool ItemGroup::Take(const IngestItem& item) {
  if (!empty_ && !Admits(item)) return false;
  empty_ = false;
  if (const auto* scalars = std::get_if<ScalarItem>(&item)) {
    ++scalars_;
    last_scalars_ = scalars->step;
  }
  if (const auto* samples = std::get_if<SampleItem>(&item)) {
    step_ = samples->step;
    probes_.insert(samples->probe);
    if (samples->snapshot_end) ended_.insert(samples->probe);
  }
  return true;
}

bool ItemGroup::Admits(const IngestItem& item) const {
  if (const auto* samples = std::get_if<SampleItem>(&item)) return Admits(*samples);
  const auto* scalars = std::get_if<ScalarItem>(&item);
  return scalars != nullptr && scalars_ > 0 && scalars_ < kMostScalars &&
         scalars->step > last_scalars_;
}

bool ItemGroup::Admits(const SampleItem& samples) const {
  if (samples.step != step_) return false;
  if (probes_.contains(samples.probe)) return !ended_.contains(samples.probe);
  return probes_.size() < most_probes_;
}

}  // namespace dimwatch
