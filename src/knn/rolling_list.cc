#include "src/knn/rolling_list.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "src/knn/distance.h"

namespace dimwatch {

RollingLists::RollingLists(const PointSlots& points, std::size_t near, std::size_t keep,
                           std::size_t capacity)
    : points_(points), near_(near), keep_(keep), capacity_(capacity) {
  assert(near <= keep && keep < capacity);
}

void RollingLists::Resize(std::size_t slots) {
  lists_.resize(slots);
  GrowTo(slots * capacity_, entries_);
  GrowTo(slots * capacity_, squares_);
}

Rank RollingLists::RankAt(std::uint32_t of, std::size_t at) const {
  return {square(of, at), points_.precedence(id(of, at))};
}

bool RollingLists::Build(std::uint32_t of, std::vector<Rough>& others, float bound, float slack,
                         std::size_t least) {
  List& list = lists_[of];
  list = List{.size = 0, .near = 0, .limit = {}, .near_limit = list.near_limit, .slack = slack};
  const auto nearer = [](const Rough& a, const Rough& b) { return a.square < b.square; };
  const bool all = bound == std::numeric_limits<float>::infinity() && others.size() <= keep_;
  if (others.size() > capacity_) {
    std::nth_element(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(capacity_),
                     others.end(), nearer);
    bound = std::min(bound, others[capacity_].square);
    others.resize(capacity_);
  }
  std::sort(others.begin(), others.end(), nearer);
  const auto sure = static_cast<std::size_t>(
      std::partition_point(others.begin(), others.end(),
                           [&](const Rough& other) { return other.square < bound - 3 * slack; }) -
      others.begin());
  const std::size_t count = all ? others.size() : std::min(keep_, sure);
  if (!all && count < std::max<std::size_t>(1, least)) return false;
  for (std::size_t i = 0; i < others.size(); ++i) {
    entries_[of * capacity_ + i] = others[i].point;
    squares_[of * capacity_ + i] = others[i].square;
  }
  list.size = static_cast<std::uint32_t>(others.size());
  Sort(of);  // those that are measured and equal
  if (!all) {
    Certify(of, count);
    Cut(of, count);
  }
  ExtendNear(of);
  return true;
}

void RollingLists::BuildMeasured(std::uint32_t of, std::span<const std::uint32_t> others) {
  static const SquaredDistanceFunction distance = BestSquaredDistance();
  std::vector<std::pair<Rank, std::uint32_t>> ranked;
  ranked.reserve(others.size());
  for (const std::uint32_t other : others) {
    const float square = distance(points_.row(of), points_.row(other), points_.dim());
    ranked.emplace_back(Rank{square, points_.precedence(other)}, other);
  }
  const std::size_t count = std::min(keep_, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                    ranked.end());
  List& list = lists_[of];
  list = List{.size = static_cast<std::uint32_t>(count),
              .near = 0,
              .limit = count < ranked.size() ? ranked[count - 1].first : Rank(),
              .near_limit = list.near_limit,
              .slack = 0};
  for (std::size_t i = 0; i < count; ++i) {
    entries_[of * capacity_ + i] = ranked[i].second | kMeasured;
    squares_[of * capacity_ + i] = ranked[i].first.square;
  }
  ExtendNear(of);
}

std::size_t RollingLists::Remove(std::uint32_t of, std::span<const std::uint8_t> marks,
                                 std::uint32_t first, std::uint32_t last) {
  List& list = lists_[of];
  std::uint32_t* const entries = &entries_[of * capacity_];
  float* const squares = &squares_[of * capacity_];
  std::uint32_t in_range = 0;
  for (std::size_t at = 0; at < list.size; ++at) {
    in_range |= (entries[at] & ~kMeasured) - first <= last - first ? 1u : 0u;
  }
  if (in_range == 0) return list.size;
  const auto gone = [&](std::size_t at) { return marks[entries[at] & ~kMeasured]; };
  std::size_t first_gone = 0;
  while (first_gone < list.size && gone(first_gone) == 0) ++first_gone;
  std::size_t kept = first_gone, near_kept = std::min<std::size_t>(first_gone, list.near);
  for (std::size_t at = first_gone; at < list.size; ++at) {
    const std::size_t stays = gone(at) == 0 ? 1 : 0;
    entries[kept] = entries[at];
    squares[kept] = squares[at];
    kept += stays;
    near_kept += at < list.near ? stays : 0;
  }
  list.size = static_cast<std::uint32_t>(kept);
  list.near = static_cast<std::uint32_t>(near_kept);
  return first_gone;
}

std::size_t RollingLists::Insert(std::uint32_t of, Rough other, float slack) {
  static const SquaredDistanceFunction distance = BestSquaredDistance();
  List& list = lists_[of];
  const bool surely_within = other.square + slack < list.limit.square;
  const bool surely_far = other.square - slack > list.near_limit.square;
  const bool measured = !(surely_within && surely_far);
  Rank rank{other.square, points_.precedence(other.point)};
  if (measured) {
    if (other.square - slack > list.limit.square) return list.size;
    rank.square = distance(points_.row(of), points_.row(other.point), points_.dim());
    if (rank > list.limit) return list.size;
  } else {
    list.slack = std::max(list.slack, slack);
  }
  std::uint32_t* const entries = &entries_[of * capacity_];
  float* const squares = &squares_[of * capacity_];
  auto at = static_cast<std::size_t>(std::upper_bound(squares, squares + list.size, rank.square) -
                                     squares);
  const auto follows = [&](std::size_t previous) {
    return measured && squares[previous] == rank.square && (entries[previous] & kMeasured) != 0 &&
           points_.precedence(entries[previous] & ~kMeasured) > rank.precedence;
  };
  while (at > 0 && follows(at - 1)) --at;
  std::copy_backward(entries + at, entries + list.size, entries + list.size + 1);
  std::copy_backward(squares + at, squares + list.size, squares + list.size + 1);
  entries[at] = measured ? other.point | kMeasured : other.point;
  squares[at] = rank.square;
  ++list.size;
  if (measured && rank <= list.near_limit) ++list.near;
  return at;
}

// Where the two entries at the border are more than three slacks apart, no rounding can have put
// two entries on the wrong sides. Otherwise all within three slacks of the border are measured.
bool RollingLists::Certify(std::uint32_t of, std::size_t count) {
  const List& list = lists_[of];
  if (count == 0 || count >= list.size) return false;
  const float* const squares = &squares_[of * capacity_];
  bool changed = false;
  while (true) {
    const float margin = 3 * list.slack;
    if (squares[count] - squares[count - 1] > margin) return changed;
    std::size_t begin = count - 1, end = count + 1;
    while (begin > 0 && !(squares[begin - 1] < squares[count - 1] - margin)) --begin;
    while (end < list.size && !(squares[end] > squares[count] + margin)) ++end;
    if (!MeasureRange(of, begin, end)) return changed;
    changed = true;
  }
}

void RollingLists::Cut(std::uint32_t of, std::size_t count) {
  List& list = lists_[of];
  const bool apart =
      count == list.size || square(of, count) - square(of, count - 1) > 3 * list.slack;
  list.limit =
      apart ? Rank{.square = square(of, count - 1) + 1.5f * list.slack} : RankAt(of, count - 1);
  list.size = static_cast<std::uint32_t>(count);
  if (list.near > list.size) list.near = list.size;
  list.near_limit = std::min(list.near_limit, list.limit);
}

void RollingLists::Truncate(std::uint32_t of) {
  List& list = lists_[of];
  Certify(of, keep_);
  Cut(of, keep_);
  if (list.near <= 2 * near_) return;
  list.near = static_cast<std::uint32_t>(near_);
  list.near_limit = RankAt(of, near_ - 1);
}

void RollingLists::ExtendNear(std::uint32_t of) {
  List& list = lists_[of];
  list.near_limit = std::min(list.near_limit, list.limit);
  std::size_t count = std::min<std::size_t>(near_, list.size);
  while (count < list.size && !(square(of, count) - list.slack > list.near_limit.square)) ++count;
  Certify(of, count);
  MeasureRange(of, 0, count);
  list.near = static_cast<std::uint32_t>(count);
  if (count == list.size) {
    list.near_limit = list.limit;
  } else {
    list.near_limit = std::max(list.near_limit, RankAt(of, count - 1));
  }
}

bool RollingLists::MeasureRange(std::uint32_t of, std::size_t begin, std::size_t end) {
  static const SquaredDistanceFunction distance = BestSquaredDistance();
  constexpr std::size_t kAhead = 2;
  bool any = false;
  for (std::size_t i = of * capacity_ + begin; i < of * capacity_ + end; ++i) {
    const std::size_t ahead = std::min(i + kAhead, of * capacity_ + end - 1);
    if ((entries_[ahead] & kMeasured) == 0)
      PrefetchRow(points_.row(entries_[ahead]), points_.dim());
    if ((entries_[i] & kMeasured) != 0) continue;
    squares_[i] = distance(points_.row(of), points_.row(entries_[i]), points_.dim());
    entries_[i] |= kMeasured;
    any = true;
  }
  if (any) Sort(of);
  return any;
}

// The entries are nearly in order.
void RollingLists::Sort(std::uint32_t of) {
  std::uint32_t* const entries = &entries_[of * capacity_];
  float* const squares = &squares_[of * capacity_];
  const auto precedes = [&](float square, std::uint32_t entry, std::size_t at) {
    if (square != squares[at]) return square < squares[at];
    if ((entry & entries[at] & kMeasured) == 0) return false;
    return points_.precedence(entry & ~kMeasured) < points_.precedence(entries[at] & ~kMeasured);
  };
  for (std::size_t i = 1; i < lists_[of].size; ++i) {
    const std::uint32_t entry = entries[i];
    const float square = squares[i];
    std::size_t at = i;
    for (; at > 0 && precedes(square, entry, at - 1); --at) {
      entries[at] = entries[at - 1];
      squares[at] = squares[at - 1];
    }
    entries[at] = entry;
    squares[at] = square;
  }
}

std::int64_t RollingLists::bytes() const {
  return static_cast<std::int64_t>(lists_.capacity() * sizeof(List) +
                                   entries_.capacity() * sizeof(std::uint32_t) +
                                   squares_.capacity() * sizeof(float));
}

}  // namespace dimwatch
