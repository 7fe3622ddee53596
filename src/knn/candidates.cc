#include "src/knn/candidates.h"

#include <algorithm>
#include <limits>

namespace dimwatch {
namespace {

// A value that at least `least` of `distances` are not above and at most `most` are below; by
// halving, which takes fewer steps the farther apart the two are, and in the end by selection.
float BoundOf(std::span<const float> distances, std::size_t least, std::size_t most) {
  float low = distances[0], high = distances[0];
  for (const float distance : distances) {
    low = distance < low ? distance : low;
    high = distance > high ? distance : high;
  }
  for (int step = 0; step < 10 && least < most; ++step) {
    const float middle = low + (high - low) / 2;
    std::uint32_t count = 0;
    for (const float distance : distances) count += distance <= middle;
    if (count >= least && count <= most) return middle;
    (count < least ? low : high) = middle;
  }
  std::vector<float> order(distances.begin(), distances.end());
  const auto last = order.begin() + static_cast<std::ptrdiff_t>(least - 1);
  std::nth_element(order.begin(), last, order.end());
  return *last;
}

}  // namespace

Candidates::Candidates(std::size_t rows, std::size_t keep)
    : keep_(keep),
      capacity_(keep + keep / 2 + 2 * kRun),
      bounds_(rows, std::numeric_limits<float>::infinity()),
      sizes_(rows),
      distances_(rows * capacity_),
      ids_(rows * capacity_) {}

void Candidates::Offer(std::size_t row, float distance, std::uint32_t id, std::size_t target) {
  if (!(distance <= bounds_[row])) return;
  if (sizes_[row] == capacity_) Prune(row, target, (target + capacity_ - kRun) / 2);
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
      Prune(row, target, (target + capacity_ - kRun) / 2);
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

void Candidates::Prune(std::size_t row, std::size_t target, std::size_t most) {
  const std::size_t size = sizes_[row];
  if (size <= most) return;
  const std::span distances = std::span(distances_).subspan(row * capacity_, size);
  const std::span ids = std::span(ids_).subspan(row * capacity_, size);
  const float bound = BoundOf(distances, target, most);
  std::uint32_t below = 0;
  for (std::size_t i = 0; i < size; ++i) below += distances[i] < bound;
  std::size_t room = most - below;  // for those at the bound
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
  Prune(row, keep_, keep_);
  return std::span(ids_).subspan(row * capacity_, sizes_[row]);
}

}  // namespace dimwatch
