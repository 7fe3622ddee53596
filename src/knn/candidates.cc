#include "src/knn/candidates.h"

#include <algorithm>
#include <array>

namespace dimwatch {

Candidates::Candidates(std::size_t rows, std::size_t keep)
    : keep_(keep),
      capacity_(2 * keep + kRun),
      bounds_(rows, std::numeric_limits<float>::infinity()),
      sizes_(rows),
      distances_(rows * capacity_),
      ids_(rows * capacity_) {}

void Candidates::Offer(std::size_t row, float distance, std::uint32_t id) {
  if (!(distance <= bounds_[row])) return;
  if (sizes_[row] == capacity_) Prune(row);
  const std::size_t at = row * capacity_ + sizes_[row]++;
  distances_[at] = distance;
  ids_[at] = id;
}

void Candidates::OfferAll(std::size_t row, const float* distances, std::size_t count,
                          std::uint32_t first_id) {
  float bound = bounds_[row];
  std::size_t i = 0;
  for (; i + kRun <= count; i += kRun) {
    int any = 0;
    for (std::size_t r = 0; r < kRun; ++r) any |= distances[i + r] <= bound;
    if (any == 0) continue;
    if (sizes_[row] + kRun > capacity_) {
      Prune(row);
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
  for (; i < count; ++i) Offer(row, distances[i], first_id + static_cast<std::uint32_t>(i));
}

void Candidates::Prune(std::size_t row) {
  const std::size_t size = sizes_[row];
  if (size <= keep_) return;
  const std::span distances = std::span(distances_).subspan(row * capacity_, size);
  const std::span ids = std::span(ids_).subspan(row * capacity_, size);
  thread_local std::vector<float> order;
  order.assign(distances.begin(), distances.end());
  const auto last = order.begin() + static_cast<std::ptrdiff_t>(keep_ - 1);
  std::nth_element(order.begin(), last, order.end());
  const float bound = *last;
  // Of those at the bound itself the smallest ids stay.
  std::uint32_t id_limit = std::numeric_limits<std::uint32_t>::max();
  const auto room = static_cast<std::size_t>(last + 1 - order.begin()) -
                    static_cast<std::size_t>(
                        std::count_if(order.begin(), last + 1, [&](float d) { return d < bound; }));
  std::vector<std::uint32_t> ties;
  for (std::size_t i = 0; i < size; ++i) {
    if (distances[i] == bound) ties.push_back(ids[i]);
  }
  if (ties.size() > room) {
    std::nth_element(ties.begin(), ties.begin() + static_cast<std::ptrdiff_t>(room - 1),
                     ties.end());
    id_limit = ties[room - 1];
  }
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const bool keep = distances[i] < bound || (distances[i] == bound && ids[i] <= id_limit);
    distances[kept] = distances[i];
    ids[kept] = ids[i];
    kept += keep;
  }
  sizes_[row] = kept;
  bounds_[row] = bound;
}

std::span<std::uint32_t> Candidates::Finish(std::size_t row) {
  Prune(row);
  return std::span(ids_).subspan(row * capacity_, sizes_[row]);
}

}  // namespace dimwatch
