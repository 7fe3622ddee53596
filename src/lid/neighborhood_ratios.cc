#include "src/lid/neighborhood_ratios.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "src/knn/distance.h"
#include "src/knn/two_smallest.h"
#include "src/lid/twonn.h"

namespace dimwatch {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

NeighborhoodRatios::NeighborhoodRatios(const CloudRows& cloud, const NeighborLists& lists)
    : cloud_(cloud),
      lists_(lists),
      is_member_(cloud.points()),
      member_ids_(lists.neighbors()),
      member_squares_(lists.neighbors()) {}

void NeighborhoodRatios::Find(std::size_t query, std::span<double> out) {
  constexpr std::size_t kAhead = 8;  // lists on their way to the cache
  const std::span<const std::uint32_t> patch = lists_.ids(query);
  for (const std::uint32_t member : patch) is_member_[member] = 1;
  open_.clear();
  contenders_.clear();
  for (std::size_t j = 0; j < patch.size(); ++j) {
    if (j + kAhead < patch.size()) {
      __builtin_prefetch(lists_.ids(patch[j + kAhead]).data());
      __builtin_prefetch(lists_.distances(patch[j + kAhead]).data());
    }
    Open open{.index = j};
    if (!FindRanked(patch[j], out[j], open)) open_.push_back(open);
  }
  for (Open& open : open_) AddContenders(patch, open);
  for (const std::uint32_t member : patch) is_member_[member] = 0;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (i + 1 < open_.size()) Prefetch(patch[open_[i + 1].index], open_[i + 1]);
    out[open_[i].index] = Measure(patch[open_[i].index], open_[i]);
  }
}

bool NeighborhoodRatios::FindRanked(std::uint32_t member, double& ratio, Open& open) const {
  const std::span<const std::uint32_t> entries = lists_.ids(member).first(lists_.ranked());
  const std::span<const float> distances = lists_.distances(member);
  for (std::size_t j = 0; j < entries.size(); ++j) {
    if (is_member_[entries[j]] == 0) continue;
    if (open.found == 1) {
      ratio = LogRatio(open.first, distances[j]);
      return true;
    }
    open.found = 1;
    open.first = distances[j];
  }
  return false;
}

void NeighborhoodRatios::AddContenders(std::span<const std::uint32_t> patch, Open& open) {
  const std::uint32_t member = patch[open.index];
  const std::span<const std::uint32_t> entries = lists_.ids(member).subspan(lists_.ranked());
  const std::span<const float> squares = lists_.rough_squares(member);
  std::size_t count = 0;
  for (std::size_t j = 0; j < entries.size(); ++j) {  // without a branch: hits cannot be predicted
    member_ids_[count] = entries[j];
    member_squares_[count] = squares[j];
    count += is_member_[entries[j]];
  }
  TwoSmallest rough;
  for (std::size_t j = 0; j < count; ++j) rough.Observe(member_squares_[j]);
  const float last = open.found == 1 ? rough.first : rough.second;
  open.begin = contenders_.size();
  if (last == kInfinity) {
    open.found = 0;
    for (const std::uint32_t other : patch) {
      if (other != member) contenders_.push_back(other);
    }
  } else {
    const float reach = last + 2 * lists_.slack(member);
    for (std::size_t j = 0; j < count; ++j) {
      if (member_squares_[j] <= reach) contenders_.push_back(member_ids_[j]);
    }
  }
  open.end = contenders_.size();
}

void NeighborhoodRatios::Prefetch(std::uint32_t member, const Open& open) const {
  PrefetchRow(cloud_.row(member), cloud_.dim());
  PrefetchRow(cloud_.row(contenders_[open.begin]), cloud_.dim());
}

double NeighborhoodRatios::Measure(std::uint32_t member, const Open& open) const {
  TwoSmallest squares;
  for (std::size_t i = open.begin; i < open.end; ++i) {
    squares.Observe(SquaredDistance(cloud_.row(member), cloud_.row(contenders_[i]), cloud_.dim()));
  }
  return open.found == 1 ? LogRatio(open.first, std::sqrt(squares.first))
                         : LogRatio(std::sqrt(squares.first), std::sqrt(squares.second));
}

}  // namespace dimwatch
