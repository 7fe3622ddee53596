#include "src/knn/candidates.h"

#include <algorithm>
#include <limits>

namespace dimwatch {

Candidates::Candidates(std::size_t rows, std::size_t keep)
    : keep_(keep),
      capacity_(keep + keep / 2 + 2 * kRun),
      bounds_(rows, std::numeric_limits<float>::infinity()),
      sizes_(rows),
      distances_(rows * capacity_),
      ids_(rows * capacity_) {}

void Candidates::Offer(std::size_t row, float distance, std::uint32_t id, std::size_t target) {
  if (!(distance <= bounds_[row])) return;
  if (sizes_[row] == capacity_) Prune(row, target);
  const std::size_t at = row * capacity_ + sizes_[row]++;
  distances_[at] = distance;
  ids_[at] = id;
}

void Candidates::OfferAll(std::size_t row, std::span<const float> distances, std::uint32_t first_id,
                          std::size_t target) {
  float bound = bounds_[row];
  std::size_t i = 0;
  for (; i + kRun <= distances.size(); i += kRun) {
    int any = 0;
    for (std::size_t r = 0; r < kRun; ++r) any |= distances[i + r] <= bound;
    if (any == 0) continue;
    if (sizes_[row] + kRun > capacity_) {
      Prune(row, target);
      bound = bounds_[row];
    }
    float* const out = &distances_[row * capacity_];
    std::uint32_t* const out_ids = &ids_[row * capacity_];
    std::uint32_t size = sizes_[row];
    for (std::size_t r = 0; r < kRun; ++r) {  // without a branch: hits are hard to predict
      out[size] = distances[i + r];
      out_ids[size] = first_id + static_cast<std::uint32_t>(i + r);
      size += distances[i + r] <= bound;
    }
    sizes_[row] = size;
  }
  for (; i < distances.size(); ++i) {
    Offer(row, distances[i], first_id + static_cast<std::uint32_t>(i), target);
  }
}

void Candidates::Prune(std::size_t row, std::size_t target) {
  const std::size_t size = sizes_[row];
  if (size <= target) return;
  const std::span distances = std::span(distances_).subspan(row * capacity_, size);
  const std::span ids = std::span(ids_).subspan(row * capacity_, size);
  thread_local std::vector<float> order;
  order.assign(distances.begin(), distances.end());
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(target - 1),
                   order.end());
  const float bound = order[target - 1];
  std::size_t below = 0;
  for (std::size_t i = 0; i < size; ++i) below += distances[i] < bound;
  std::size_t room = target - below;  // for those at the bound
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const bool tie = distances[i] == bound && room > 0;
    distances[kept] = distances[i];
    ids[kept] = ids[i];
    kept += distances[i] < bound || tie;
    room -= tie;
  }
  sizes_[row] = kept;
  bounds_[row] = bound;
}

std::span<std::uint32_t> Candidates::Finish(std::size_t row) {
  Prune(row, keep_);
  return std::span(ids_).subspan(row * capacity_, sizes_[row]);
}

}  // namespace dimwatch
