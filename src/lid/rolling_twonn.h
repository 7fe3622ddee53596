// The local TwoNN dimension at every point of a changing set, kept current from change to change.
//
// A neighborhood P of L points has a ratio for each member a, from the two members nearest to a.
// When x joins or leaves P, that is a new ratio or one less, and another ratio for those members
// only that have x no farther than their second nearest: they are among those that know x as a near
// one (RollingNeighbors::KnownBy). The others keep theirs, in order, for the next fit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/rolling_neighbors.h"
#include "src/knn/two_smallest.h"
#include "src/lid/pointwise.h"
#include "src/lid/settings.h"

namespace dimwatch {

// Not thread-safe.
class RollingTwoNn {
 public:
  // REQUIRES: settings.estimator is kTwoNn. `neighbors`, which must outlive it, are those of
  // settings.neighbors.
  RollingTwoNn(const EstimatorSettings& settings, const RollingNeighbors& neighbors);
  ~RollingTwoNn();

  // REQUIRES: called after every update of the neighbors, with its change.
  void Update(const RollingNeighbors::Change& change, ThreadPool& pool);

  // The rest: REQUIRES more points than settings.neighbors, and that the set holds `point`.

  // None where it is invalid.
  std::optional<double> Lid(std::uint32_t point) const { return lids_[point]; }
  // Of all valid points, summed in the order of their slots; none of none. O(points).
  std::optional<double> MeanLid() const;
  // What EstimatePointwise gives for these points, all of the set, and their lists in that order.
  PointwiseDimensions Pointwise(std::span<const std::uint32_t> points, ThreadPool& pool);

  std::int64_t bytes() const;

 private:
  static constexpr std::uint32_t kFar = std::uint32_t{1} << 31;

  struct Ratio {
    double log_mu;
    std::uint32_t member;  // with kFar where its second nearest is not among its near ones
    float first, second;   // squared distances of its two nearest
  };
  struct Scratch;
  static Ratio RatioFrom(std::uint32_t member, const TwoSmallest& nearest);

  std::unique_ptr<Scratch> TakeScratch(std::size_t slots);
  void ReturnScratch(std::unique_ptr<Scratch> scratch);
  void Forget(std::span<const std::uint32_t> forgetful, ThreadPool& pool);
  void PrefetchMembers(std::uint32_t point) const;
  void Refit(std::uint32_t point, Scratch& scratch);
  void FindJoined(std::uint32_t point, std::size_t had, Scratch& scratch) const;
  void FindChanges(std::uint32_t point, Scratch& scratch) const;
  std::span<const RollingNeighbors::Known> Affected(std::uint32_t other, Scratch& scratch) const;
  void Improve(std::uint32_t point, std::size_t k, float square, Scratch& scratch) const;
  void FindRatios(std::uint32_t point, Scratch& scratch) const;
  Ratio RatioOf(std::uint32_t member, std::uint32_t point, const Scratch& scratch) const;
  void ObserveFar(std::uint32_t member, std::uint32_t point, const Scratch& scratch,
                  TwoSmallest& nearest) const;
  void Merge(std::uint32_t point, std::size_t had, Scratch& scratch);
  // By the place of each neighbor in the list of the point. REQUIRES: the point is valid.
  void FillInfluence(std::uint32_t point, std::span<float> out, Scratch& scratch) const;

  std::span<const double> LogRatios(std::uint32_t point) const {
    return std::span(log_mu_).subspan(point * neighbors_, neighbors_);
  }

  const std::size_t neighbors_;
  const Cdf cdf_;
  const Fit fit_;
  const RollingNeighbors& sets_;
  std::vector<std::uint8_t> is_known_;  // by slot: has a fit
  std::vector<std::optional<double>> lids_;
  // slots x L, each ascending in log_mu:
  std::vector<double> log_mu_;
  std::vector<std::uint32_t> members_;
  std::vector<float> firsts_;
  std::vector<float> seconds_;
  std::vector<std::unique_ptr<Scratch>> idle_;  // guarded by mutex_ in an update
  std::mutex mutex_;
};

}  // namespace dimwatch
