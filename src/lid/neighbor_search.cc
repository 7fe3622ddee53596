#include "src/lid/neighbor_search.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/knn/exact.h"
#include "src/lid/pointwise.h"

namespace dimwatch {
namespace {

constexpr std::size_t kMostEffort = 4;

std::string Describe(const Recall& recall) {
  return absl::StrFormat("recall %.3f (%.3f to %.3f)", recall.ratio, recall.low, recall.high);
}

}  // namespace

std::size_t ListLength(const EstimatorSettings& settings) {
  return settings.estimator == Estimator::kTwoNnGlobal
             ? 2
             : static_cast<std::size_t>(settings.neighbors);
}

double BiasPerMiss(Estimator estimator) {
  switch (estimator) {
    case Estimator::kTwoNn:
      return 0.85;
    case Estimator::kTwoNnGlobal:
      return 1;
    case Estimator::kMle:
      return 0.95;
    case Estimator::kMom:
      return 1.1;
    case Estimator::kGride:
      return 1.5;
  }
  return 1;
}

NeighborSearch::NeighborSearch(const CloudRows& cloud, const EstimatorSettings& settings,
                               std::size_t queries, const EngineOptions& options, ThreadPool& pool)
    : cloud_(cloud),
      settings_(settings),
      options_(options),
      pool_(pool),
      neighbors_(ListLength(settings)),
      index_(settings.index) {
  if (index_ == IndexKind::kAuto) Choose(queries);
}

void NeighborSearch::Choose(std::size_t queries) {
  const std::size_t points = cloud_.points(), dim = cloud_.dim();
  const double exact = ExactSeconds(options_.costs, points, queries, dim);
  const double hnsw = HnswSeconds(options_.costs, points, queries, dim, neighbors_);
  index_ = exact <= hnsw ? IndexKind::kExact : IndexKind::kHnsw;
  // Without the seconds: the same estimate says the same on every machine that chooses alike.
  reason_ = absl::StrFormat("auto: %s, expected to be the faster for %d queries among %d points",
                            Name(index_), queries, points);
}

NeighborLists NeighborSearch::FindExactly(std::span<const std::uint32_t> queries) {
  return ExactEngine().Search(cloud_, queries, neighbors_,
                              RankedEntries(settings_.estimator, neighbors_), pool_);
}

NeighborLists NeighborSearch::Find(std::span<const std::uint32_t> queries) {
  if (index_ == IndexKind::kExact) return FindExactly(queries);
  const auto seed = static_cast<std::uint64_t>(settings_.seed);
  if (!approximate_) {
    approximate_ = options_.make_index ? options_.make_index(cloud_)
                                       : std::make_unique<CloudIndex>(cloud_, seed, pool_);
  }
  while (true) {
    NeighborLists lists = approximate_->Search(queries, neighbors_, effort_, pool_);
    const std::vector<double> found = CanaryRatios(cloud_, queries, lists, seed, pool_);
    const Recall recall = RecallOf(found, neighbors_);
    const bool poor = recall.high < kLeastRecall;
    if (poor && effort_ < kMostEffort) {
      effort_ = kMostEffort;
      reason_ = absl::StrCat("hnsw with more effort: before, ", Describe(recall));
      continue;
    }
    const std::size_t points = cloud_.points(), dim = cloud_.dim();
    if (poor &&
        ExactSeconds(options_.costs, points, queries.size(), dim) <=
            kMostExactCost * HnswSeconds(options_.costs, points, queries.size(), dim, neighbors_)) {
      index_ = IndexKind::kExact;
      reason_ = absl::StrCat("exact instead of hnsw: ", Describe(recall));
      return FindExactly(queries);
    }
    if (poor) {
      trusted_ = false;
      reason_ = absl::StrCat("hnsw misses too much: ", Describe(recall));
    }
    canaries_.insert(canaries_.end(), found.begin(), found.end());
    return lists;
  }
}

Recall NeighborSearch::recall() const {
  return canaries_.empty() ? Recall() : RecallOf(canaries_, neighbors_);
}

}  // namespace dimwatch
