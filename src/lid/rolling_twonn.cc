#include "src/lid/rolling_twonn.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "src/knn/distance.h"
#include "src/lid/twonn.h"

namespace dimwatch {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kChunkPoints = 64;

// Of a ratio of a member:
constexpr std::uint16_t kChanges = 0;   // goes, or is to be found again
constexpr std::uint16_t kStays = 1;     // as it was
constexpr std::uint16_t kImproves = 2;  // or more: by somebody who joined, see `improved`

}  // namespace

// Buffers of one task.
struct RollingTwoNn::Scratch {
  std::vector<std::uint16_t> place;  // by slot: 1 + the place of a member; 0 of others
  std::vector<float> second;         // by place: of a member whose ratio may stay; -1 of others
  std::vector<std::uint16_t> state;  // by place less 1: kStays and so on
  std::vector<std::uint32_t> joined, left, changed;
  std::vector<RollingNeighbors::Known> affected;
  struct Improved {
    std::uint32_t member;
    TwoSmallest nearest;
  };
  std::vector<Improved> improved;
  std::vector<Ratio> fresh;     // ratios that changed or are new
  std::vector<double> by_rank;  // influence of the sorted ratios
};

RollingTwoNn::RollingTwoNn(const EstimatorSettings& settings, const RollingNeighbors& neighbors)
    : neighbors_(static_cast<std::size_t>(settings.neighbors)),
      cdf_(settings.cdf),
      fit_(settings.fit),
      sets_(neighbors) {}

RollingTwoNn::~RollingTwoNn() = default;

void RollingTwoNn::Update(const RollingNeighbors::Change& change, ThreadPool& pool) {
  const std::size_t slots = sets_.points().slots();
  is_known_.resize(slots);
  lids_.resize(slots);
  GrowTo(slots * neighbors_, log_mu_);
  GrowTo(slots * neighbors_, members_);
  GrowTo(slots * neighbors_, firsts_);
  GrowTo(slots * neighbors_, seconds_);
  if (sets_.size() <= neighbors_) {
    std::ranges::fill(is_known_, std::uint8_t{0});
    return;
  }
  for (const std::uint32_t point : change.added) is_known_[point] = 0;
  if (!change.forgetful.empty()) Forget(change.forgetful, pool);
  std::vector<std::uint32_t> points;
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    if (sets_.holds(slot) && is_known_[slot] == 0) points.push_back(slot);
  }
  for (const std::uint32_t point : change.touched) {
    if (is_known_[point] != 0) points.push_back(point);
  }
  std::ranges::sort(points);
  pool.ParallelFor((points.size() + kChunkPoints - 1) / kChunkPoints, [&](std::size_t chunk) {
    std::unique_ptr<Scratch> scratch = TakeScratch(slots);
    const std::size_t end = std::min(points.size(), (chunk + 1) * kChunkPoints);
    for (std::size_t i = chunk * kChunkPoints; i < end; ++i) {
      if (i + 1 < end) PrefetchMembers(points[i + 1]);
      Refit(points[i], *scratch);
    }
    ReturnScratch(std::move(scratch));
  });
}

// Their ratios stay right, but whether they change is no more known from near ones alone.
void RollingTwoNn::Forget(std::span<const std::uint32_t> forgetful, ThreadPool& pool) {
  std::vector<std::uint8_t> forgets(is_known_.size());
  for (const std::uint32_t point : forgetful) forgets[point] = 1;
  pool.ParallelFor((is_known_.size() + kChunkPoints - 1) / kChunkPoints, [&](std::size_t chunk) {
    const std::size_t end = std::min(is_known_.size(), (chunk + 1) * kChunkPoints);
    for (std::size_t slot = chunk * kChunkPoints; slot < end; ++slot) {
      if (is_known_[slot] == 0) continue;
      std::uint32_t* const members = &members_[slot * neighbors_];
      for (std::size_t k = 0; k < neighbors_; ++k) {
        if (forgets[members[k] & ~kFar] != 0) members[k] |= kFar;
      }
    }
  });
}

std::unique_ptr<RollingTwoNn::Scratch> RollingTwoNn::TakeScratch(std::size_t slots) {
  std::unique_ptr<Scratch> scratch;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      scratch = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!scratch) scratch = std::make_unique<Scratch>();
  scratch->place.resize(slots);
  scratch->second.resize(neighbors_ + 1, -1.0f);
  scratch->state.resize(neighbors_);
  return scratch;
}

void RollingTwoNn::ReturnScratch(std::unique_ptr<Scratch> scratch) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
}

void RollingTwoNn::Refit(std::uint32_t point, Scratch& scratch) {
  std::uint32_t* const members = &members_[point * neighbors_];
  const std::size_t had = is_known_[point] != 0 ? neighbors_ : 0;
  for (std::size_t k = 0; k < had; ++k) {
    scratch.place[members[k] & ~kFar] = static_cast<std::uint16_t>(k + 1);
  }
  FindJoined(point, had, scratch);
  if (!scratch.joined.empty()) {
    if (had != 0) FindChanges(point, scratch);
    FindRatios(point, scratch);
    Merge(point, had, scratch);
    lids_[point] = FitTwoNn(LogRatios(point), cdf_, fit_);
    is_known_[point] = 1;
  }
  for (std::size_t k = 0; k < neighbors_; ++k) {
    scratch.place[members[k] & ~kFar] = 0;
  }
}

void RollingTwoNn::PrefetchMembers(std::uint32_t point) const {
  constexpr std::size_t kLine = 16;
  sets_.lists().PrefetchIds(point, neighbors_);
  for (std::size_t k = 0; k < neighbors_; k += kLine) {
    __builtin_prefetch(&members_[point * neighbors_ + k]);
    __builtin_prefetch(&seconds_[point * neighbors_ + k]);
    __builtin_prefetch(&firsts_[point * neighbors_ + k]);
    __builtin_prefetch(log_mu_.data() + point * neighbors_ + k);
    __builtin_prefetch(log_mu_.data() + point * neighbors_ + k + kLine / 2);
  }
}

// Compares the members with the list; those who are not in it have the state kChanges.
void RollingTwoNn::FindJoined(std::uint32_t point, std::size_t had, Scratch& scratch) const {
  scratch.joined.clear();
  scratch.left.clear();
  scratch.changed.clear();
  scratch.improved.clear();
  std::fill_n(scratch.state.begin(), had, kChanges);
  for (std::size_t j = 0; j < neighbors_; ++j) {
    const std::uint32_t id = sets_.lists().id(point, j);
    if (scratch.place[id] == 0) {
      scratch.joined.push_back(id);
    } else {
      scratch.state[scratch.place[id] - 1u] = kStays;
    }
  }
}

// Who left, and of those who stay, whose ratio is another.
void RollingTwoNn::FindChanges(std::uint32_t point, Scratch& scratch) const {
  const std::uint32_t* const members = &members_[point * neighbors_];
  const auto find_again = [&](std::size_t k) {
    scratch.state[k] = kChanges;
    scratch.changed.push_back(members[k] & ~kFar);
    scratch.second[k + 1] = -1;
  };
  std::copy_n(&seconds_[point * neighbors_], neighbors_, scratch.second.begin() + 1);
  for (std::size_t k = 0; k < neighbors_; ++k) {
    if (scratch.state[k] == kChanges) {
      scratch.left.push_back(members[k] & ~kFar);
      scratch.second[k + 1] = -1;
    } else if ((members[k] & kFar) != 0) {
      find_again(k);
    }
  }
  for (const std::uint32_t other : scratch.left) sets_.PrefetchKnownBy(other);
  for (const std::uint32_t other : scratch.joined) sets_.PrefetchKnownBy(other);
  for (const std::uint32_t other : scratch.left) {
    for (const RollingNeighbors::Known& known : Affected(other, scratch)) {
      find_again(scratch.place[known.by] - 1u);
    }
  }
  for (const std::uint32_t other : scratch.joined) {
    for (const RollingNeighbors::Known& known : Affected(other, scratch)) {
      Improve(point, scratch.place[known.by] - 1u, known.square, scratch);
    }
  }
}

// Of the members that `scratch.second` tells of, those who have `other` no farther than that.
std::span<const RollingNeighbors::Known> RollingTwoNn::Affected(std::uint32_t other,
                                                                Scratch& scratch) const {
  const std::span<const RollingNeighbors::Known> all = sets_.KnownBy(other);
  if (scratch.affected.size() < all.size()) scratch.affected.resize(all.size());
  std::size_t count = 0;
  for (const RollingNeighbors::Known& known : all) {  // without a branch: it cannot be predicted
    scratch.affected[count] = known;
    count += known.square <= scratch.second[scratch.place[known.by]] ? 1 : 0;
  }
  return std::span(scratch.affected).first(count);
}

// Somebody joined who is no farther than the second nearest of the k-th member.
void RollingTwoNn::Improve(std::uint32_t point, std::size_t k, float square,
                           Scratch& scratch) const {
  const std::size_t at = point * neighbors_ + k;
  if (scratch.state[k] == kStays) {
    scratch.state[k] = static_cast<std::uint16_t>(kImproves + scratch.improved.size());
    scratch.improved.push_back({members_[at], {firsts_[at], seconds_[at]}});
  }
  TwoSmallest& nearest = scratch.improved[scratch.state[k] - kImproves].nearest;
  nearest.Observe(square);
  scratch.second[k + 1] = nearest.second;
}

// Of those who joined, or changed; `scratch.place` marks the members from here on.
void RollingTwoNn::FindRatios(std::uint32_t point, Scratch& scratch) const {
  for (const std::uint32_t member : scratch.left) scratch.place[member] = 0;
  for (const std::uint32_t member : scratch.joined) scratch.place[member] = 1;
  scratch.changed.insert(scratch.changed.end(), scratch.joined.begin(), scratch.joined.end());
  for (const std::uint32_t member : scratch.changed) sets_.lists().Prefetch(member);
  scratch.fresh.clear();
  for (const std::uint32_t member : scratch.changed) {
    scratch.fresh.push_back(RatioOf(member, point, scratch));
  }
  for (const auto& [member, nearest] : scratch.improved) {
    scratch.fresh.push_back(RatioFrom(member, nearest));
  }
}

// Among the members of the neighborhood of `point`, which `scratch.place` marks. The first two in
// its own list are the two nearest; beyond the near ones, distances are measured.
RollingTwoNn::Ratio RollingTwoNn::RatioOf(std::uint32_t member, std::uint32_t point,
                                          const Scratch& scratch) const {
  const RollingLists& lists = sets_.lists();
  const RollingLists::List& list = lists.list(member);
  TwoSmallest nearest;
  std::size_t at = 0;
  for (; at < list.near && nearest.second == kInfinity; ++at) {
    if (scratch.place[lists.id(member, at)] != 0) nearest.Observe(lists.square(member, at));
  }
  std::uint32_t far = 0;
  if (nearest.second == kInfinity) {
    far = kFar;
    ObserveFar(member, point, scratch, nearest);
  }
  return RatioFrom(member | far, nearest);
}

RollingTwoNn::Ratio RollingTwoNn::RatioFrom(std::uint32_t member, const TwoSmallest& nearest) {
  return {LogRatio(std::sqrt(nearest.first), std::sqrt(nearest.second)), member, nearest.first,
          nearest.second};
}

// Rough squares tell which distances to measure, as far as the list goes.
void RollingTwoNn::ObserveFar(std::uint32_t member, std::uint32_t point, const Scratch& scratch,
                              TwoSmallest& nearest) const {
  static const SquaredDistanceFunction distance = BestSquaredDistance();
  const PointSlots& points = sets_.points();
  const RollingLists& lists = sets_.lists();
  const RollingLists::List& list = lists.list(member);
  const auto measure = [&](std::uint32_t other) {
    return distance(points.row(member), points.row(other), points.dim());
  };
  PrefetchRow(points.row(member), points.dim());
  TwoSmallest rough;
  for (std::size_t at = list.near; at < list.size; ++at) {
    if (scratch.place[lists.id(member, at)] != 0) rough.Observe(lists.square(member, at));
  }
  const float last = nearest.first == kInfinity ? rough.second : rough.first;
  if (last == kInfinity) {  // fewer than two in the list
    nearest = {};
    for (std::size_t j = 0; j < neighbors_; ++j) {
      const std::uint32_t other = lists.id(point, j);
      if (other != member) nearest.Observe(measure(other));
    }
    return;
  }
  const float reach = last + 2 * list.slack;
  for (std::size_t at = list.near; at < list.size && lists.square(member, at) <= reach; ++at) {
    const std::uint32_t other = lists.id(member, at);
    if (scratch.place[other] != 0) nearest.Observe(measure(other));
  }
}

// The ratios that stay are in order already.
void RollingTwoNn::Merge(std::uint32_t point, std::size_t had, Scratch& scratch) {
  double* const log_mu = &log_mu_[point * neighbors_];
  std::uint32_t* const members = &members_[point * neighbors_];
  float* const firsts = &firsts_[point * neighbors_];
  float* const seconds = &seconds_[point * neighbors_];
  const auto below = [](const Ratio& a, const Ratio& b) { return a.log_mu < b.log_mu; };
  std::sort(scratch.fresh.begin(), scratch.fresh.end(), below);
  // Closes the gaps, then fills from the end.
  std::size_t stay = 0;
  for (std::size_t k = 0; k < had; ++k) {
    log_mu[stay] = log_mu[k];
    members[stay] = members[k];
    firsts[stay] = firsts[k];
    seconds[stay] = seconds[k];
    stay += scratch.state[k] == kStays ? 1 : 0;
  }
  for (std::size_t end = neighbors_, fresh = scratch.fresh.size(); fresh > 0;) {
    --end;
    if (stay > 0 && scratch.fresh[fresh - 1].log_mu < log_mu[stay - 1]) {
      --stay;
      log_mu[end] = log_mu[stay];
      members[end] = members[stay];
      firsts[end] = firsts[stay];
      seconds[end] = seconds[stay];
    } else {
      --fresh;
      log_mu[end] = scratch.fresh[fresh].log_mu;
      members[end] = scratch.fresh[fresh].member;
      firsts[end] = scratch.fresh[fresh].first;
      seconds[end] = scratch.fresh[fresh].second;
    }
  }
}

std::optional<double> RollingTwoNn::MeanLid() const {
  double sum = 0;
  std::size_t valid = 0;
  for (std::uint32_t slot = 0; slot < lids_.size(); ++slot) {
    if (!sets_.holds(slot) || !lids_[slot]) continue;
    sum += *lids_[slot];
    ++valid;
  }
  return valid == 0 ? std::nullopt : std::optional(sum / static_cast<double>(valid));
}

PointwiseDimensions RollingTwoNn::Pointwise(std::span<const std::uint32_t> points,
                                            ThreadPool& pool) {
  PointwiseDimensions result{std::vector<std::optional<double>>(points.size()),
                             std::vector<float>(points.size() * neighbors_),
                             std::vector<std::uint8_t>(points.size())};
  const RollingLists& lists = sets_.lists();
  pool.ParallelFor((points.size() + kChunkPoints - 1) / kChunkPoints, [&](std::size_t chunk) {
    std::unique_ptr<Scratch> scratch = TakeScratch(sets_.points().slots());
    const std::size_t end = std::min(points.size(), (chunk + 1) * kChunkPoints);
    for (std::size_t i = chunk * kChunkPoints; i < end; ++i) {
      const std::uint32_t point = points[i];
      result.lid[i] = lids_[point];
      result.mutual[i] = lists.id(lists.id(point, 0), 0) == point ? 1 : 0;
      if (!lids_[point]) continue;
      FillInfluence(point, std::span(result.influence).subspan(i * neighbors_, neighbors_),
                    *scratch);
    }
    ReturnScratch(std::move(scratch));
  });
  return result;
}

void RollingTwoNn::FillInfluence(std::uint32_t point, std::span<float> out,
                                 Scratch& scratch) const {
  const std::span<const double> sorted = LogRatios(point);
  const std::uint32_t* const members = &members_[point * neighbors_];
  scratch.by_rank.resize(neighbors_);
  TwoNnInfluence(sorted, *lids_[point], cdf_, fit_, scratch.by_rank);
  for (std::size_t k = 0; k < neighbors_; ++k) {
    if (k > 0 && sorted[k] == sorted[k - 1]) {  // equal ratios share the lowest rank
      scratch.by_rank[k] = scratch.by_rank[k - 1];
    }
    scratch.place[members[k] & ~kFar] = static_cast<std::uint16_t>(k + 1);
  }
  for (std::size_t j = 0; j < neighbors_; ++j) {
    std::uint16_t& place = scratch.place[sets_.lists().id(point, j)];
    out[j] = static_cast<float>(scratch.by_rank[place - 1u]);
    place = 0;
  }
}

std::int64_t RollingTwoNn::bytes() const {
  const std::size_t by_slot = sizeof(lids_[0]) + sizeof(std::uint8_t);
  const std::size_t by_ratio = sizeof(double) + sizeof(std::uint32_t) + 2 * sizeof(float);
  return static_cast<std::int64_t>(lids_.capacity() * by_slot + log_mu_.capacity() * by_ratio);
}

}  // namespace dimwatch
