// A changing set of points, each in a slot of its own for as long as it is in the set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"

namespace dimwatch {

// To that size, with room for no more: a vector by itself takes up to twice as much.
template <typename T>
void GrowTo(std::size_t size, std::vector<T>& vector) {
  vector.reserve(size);
  vector.resize(size);
}

// Beside its row every point has a row centered on a reference, for inner products that do not
// cancel, and a precedence, which orders points at equal distances. Not thread-safe.
class PointSlots {
 public:
  explicit PointSlots(std::size_t dim) : dim_(dim), center_(dim), sum_(dim) {}

  std::size_t dim() const { return dim_; }
  // Slots are numbered below this.
  std::size_t slots() const { return live_.size(); }
  std::size_t points() const { return points_; }
  bool live(std::uint32_t slot) const { return live_[slot] != 0; }

  const float* row(std::uint32_t slot) const { return &rows_[slot * dim_]; }
  const float* centered(std::uint32_t slot) const { return &centered_[slot * dim_]; }
  // Squared, of the centered row.
  float norm(std::uint32_t slot) const { return norms_[slot]; }
  std::uint64_t precedence(std::uint32_t slot) const { return precedences_[slot]; }
  PointCloudView rows() const { return {rows_, slots(), dim_}; }

  // Six standard deviations of the rounding error of a squared distance from an inner product of
  // rows of these squared norms, by random rounding. Infinite while any point is so far away that
  // squares may overflow.
  float Slack(float norm, float other_norm) const;

  // REQUIRES: components are finite.
  std::uint32_t Add(std::span<const float> row, std::uint64_t precedence);
  // The row stays until the slot is used again.
  void Remove(std::uint32_t slot);

  // Centers all rows on their mean if that has moved so far from the reference that rounding
  // matters. True if so.
  bool Recenter(ThreadPool& pool);

  std::int64_t bytes() const;

 private:
  void Center(std::uint32_t slot);
  // Adds the point to the sums, or with -1 takes it out of them.
  void Count(std::uint32_t slot, int sign);

  const std::size_t dim_;
  std::size_t points_ = 0;
  std::uint32_t next_ = 0;       // where the search for a free slot begins
  std::vector<float> rows_;      // slots x dim, row-major
  std::vector<float> centered_;  // the same shape
  std::vector<float> norms_;
  std::vector<std::uint64_t> precedences_;
  std::vector<std::uint8_t> live_;
  std::vector<float> center_;
  std::vector<double> sum_;  // of the centered rows of all points
  double sum_norms_ = 0;     // the same
  int huge_ = 0;             // points that are left out of the sums
};

}  // namespace dimwatch
