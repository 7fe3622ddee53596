// The neighbor lists of a changing set of points.
//
// Squared distances come from inner products and are rough: within a slack of SquaredDistance. They
// are measured only where that matters: among the nearest few, whose order counts, and where it is
// open on which side of a limit a point lies.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "src/knn/point_slots.h"

namespace dimwatch {

// Where a point comes in the order by distance: by (SquaredDistance, precedence).
struct Rank {
  float square = std::numeric_limits<float>::infinity();
  std::uint64_t precedence = std::numeric_limits<std::uint64_t>::max();
  // NOLINTNEXTLINE(modernize-use-nullptr): of the code that the compiler makes
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

// One list per slot. Holds exactly the points whose rank is not above its limit. The first `near`
// entries are exactly those not above the near limit, measured and in order of rank; the others
// ascend in (rough) square. Not thread-safe; different lists may be used by different threads.
class RollingLists {
 public:
  struct List {
    std::uint32_t size = 0;
    std::uint32_t near = 0;
    Rank limit;
    Rank near_limit = {.square = -1, .precedence = 0};
    float slack = 0;  // of the squares that are not measured
  };
  static constexpr std::uint32_t kMeasured = std::uint32_t{1} << 31;
  // A point that may belong to a list, by its rough square, or with kMeasured by the exact one.
  struct Rough {
    float square;
    std::uint32_t point;
  };

  // A list is made with the nearest `keep` points and cut to them when it is full; at least `near`
  // of them are near when it is made. REQUIRES: near <= keep < capacity.
  RollingLists(const PointSlots& points, std::size_t near, std::size_t keep, std::size_t capacity);

  // All new lists are empty.
  void Resize(std::size_t slots);
  void Clear(std::uint32_t of) { lists_[of] = List(); }

  const List& list(std::uint32_t of) const { return lists_[of]; }
  std::uint32_t id(std::uint32_t of, std::size_t at) const {
    return entries_[of * capacity_ + at] & ~kMeasured;
  }
  float square(std::uint32_t of, std::size_t at) const { return squares_[of * capacity_ + at]; }
  bool measured(std::uint32_t of, std::size_t at) const {
    return (entries_[of * capacity_ + at] & kMeasured) != 0;
  }

  // Loads the nearest entries into the cache.
  void Prefetch(std::uint32_t of) const {
    __builtin_prefetch(&lists_[of]);
    __builtin_prefetch(&entries_[of * capacity_]);
    __builtin_prefetch(&squares_[of * capacity_]);
  }

  // And the names of the first `count`.
  void PrefetchIds(std::uint32_t of, std::size_t count) const {
    constexpr std::size_t kLine = 64 / sizeof(std::uint32_t);
    for (std::size_t at = 0; at < count; at += kLine) {
      __builtin_prefetch(&entries_[of * capacity_ + at]);
    }
  }

  // Makes a list of `others`: of all other points if `bound` is infinite, otherwise of all with a
  // rough square below it. A near limit from before stays where it can. False, and an empty list,
  // where `bound` and `slack` do not tell the nearest `least`.
  bool Build(std::uint32_t of, std::vector<Rough>& others, float bound, float slack,
             std::size_t least);
  // The same of all other points, by measuring them.
  void BuildMeasured(std::uint32_t of, std::span<const std::uint32_t> others);

  // Removes the points that are marked; those lie in [first, last]. Returns the position of the
  // first that was removed, or the size. O(size).
  std::size_t Remove(std::uint32_t of, std::span<const std::uint8_t> marks, std::uint32_t first,
                     std::uint32_t last);
  // Adds a point if it belongs to the list, and returns its position, otherwise the size.
  // REQUIRES: not full; the square is not measured. `slack` is that of this square.
  std::size_t Insert(std::uint32_t of, Rough other, float slack);
  bool full(std::uint32_t of) const { return lists_[of].size == capacity_; }

  // Makes sure that the first `count` entries are the `count` of lowest rank. True if that took
  // measuring, which may have changed their order.
  bool Certify(std::uint32_t of, std::size_t count);
  // Cuts the list to `keep` entries. The near limit may go down.
  void Truncate(std::uint32_t of);
  // Raises the near limit so that `near` entries are near, or all.
  void ExtendNear(std::uint32_t of);

  std::int64_t bytes() const;

 private:
  Rank RankAt(std::uint32_t of, std::size_t at) const;
  // Measures the entries in [begin, end) and restores the order. False if all were measured.
  bool MeasureRange(std::uint32_t of, std::size_t begin, std::size_t end);
  void Sort(std::uint32_t of);
  // Cuts the list to `count` entries. REQUIRES: Certify(of, count); count < size.
  void Cut(std::uint32_t of, std::size_t count);

  const PointSlots& points_;
  const std::size_t near_;
  const std::size_t keep_;
  const std::size_t capacity_;
  std::vector<List> lists_;
  std::vector<std::uint32_t> entries_;  // slots x capacity: points, with kMeasured
  std::vector<float> squares_;          // the same shape
};

}  // namespace dimwatch
