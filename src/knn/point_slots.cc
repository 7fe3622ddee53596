#include "src/knn/point_slots.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "src/knn/products.h"

namespace dimwatch {
namespace {

constexpr std::size_t kGrowth = 1024;  // slots are made by so many at least
constexpr std::size_t kChunkSlots = 256;
// A squared norm above this is near overflow, and nothing is known of products with its row.
constexpr float kHuge = 1e36f;

}  // namespace

float PointSlots::Slack(float norm, float other_norm) const {
  if (huge_ > 0) return std::numeric_limits<float>::infinity();
  return RoundingOfSquare(dim_, norm, other_norm);
}

std::uint32_t PointSlots::Add(std::span<const float> row, std::uint64_t precedence) {
  if (points_ == slots()) {
    next_ = static_cast<std::uint32_t>(slots());
    const std::size_t slots = live_.size() + std::max(kGrowth, live_.size() / 8);
    GrowTo(slots * dim_, rows_);
    GrowTo(slots * dim_, centered_);
    norms_.resize(slots);
    precedences_.resize(slots);
    live_.resize(slots);
  }
  while (live_[next_ % slots()] != 0) ++next_;
  const auto slot = static_cast<std::uint32_t>(next_ % slots());
  next_ = slot + 1;
  live_[slot] = 1;
  ++points_;
  precedences_[slot] = precedence;
  std::ranges::copy(row, rows_.begin() + static_cast<std::ptrdiff_t>(slot * dim_));
  if (points_ == 1) std::ranges::copy(row, center_.begin());
  Center(slot);
  Count(slot, 1);
  return slot;
}

void PointSlots::Remove(std::uint32_t slot) {
  live_[slot] = 0;
  --points_;
  Count(slot, -1);
}

void PointSlots::Count(std::uint32_t slot, int sign) {
  if (!(norms_[slot] < kHuge)) {
    huge_ += sign;
    return;
  }
  const float* const from = centered(slot);
  for (std::size_t i = 0; i < dim_; ++i) sum_[i] += sign * static_cast<double>(from[i]);
  sum_norms_ += sign * static_cast<double>(norms_[slot]);
}

bool PointSlots::Recenter(ThreadPool& pool) {
  if (points_ == 0) return false;
  const auto n = static_cast<double>(points_);
  double drift = 0;
  for (const double sum : sum_) drift += (sum / n) * (sum / n);
  if (!(drift > sum_norms_ / n / 4)) return false;
  std::vector<float> center(dim_);
  for (std::size_t i = 0; i < dim_; ++i) {
    center[i] = static_cast<float>(static_cast<double>(center_[i]) + sum_[i] / n);
  }
  if (center == center_) return false;
  center_ = std::move(center);
  pool.ParallelFor((slots() + kChunkSlots - 1) / kChunkSlots, [&](std::size_t chunk) {
    const std::size_t end = std::min(slots(), (chunk + 1) * kChunkSlots);
    for (std::size_t slot = chunk * kChunkSlots; slot < end; ++slot) {
      Center(static_cast<std::uint32_t>(slot));
    }
  });
  std::fill(sum_.begin(), sum_.end(), 0.0);
  sum_norms_ = 0;
  huge_ = 0;
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    if (live(slot)) Count(slot, 1);
  }
  return true;
}

void PointSlots::Center(std::uint32_t slot) {
  norms_[slot] = CenterRow(row(slot), center_.data(), dim_, &centered_[slot * dim_]);
}

std::int64_t PointSlots::bytes() const {
  const std::size_t floats = rows_.capacity() + centered_.capacity() + norms_.capacity();
  return static_cast<std::int64_t>(floats * sizeof(float) +
                                   precedences_.capacity() * sizeof(std::uint64_t));
}

}  // namespace dimwatch
