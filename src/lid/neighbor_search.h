// The neighbor lists of an estimate: by which engine, how well, and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/cloud_rows.h"
#include "src/knn/engine_choice.h"
#include "src/knn/hnsw.h"
#include "src/knn/neighbor_lists.h"
#include "src/knn/recall.h"
#include "src/lid/settings.h"

namespace dimwatch {

// Lists that hold surely less than this share of the true neighbors are not trusted.
inline constexpr double kLeastRecall = 0.95;
// An exact search stands in for an approximate one up to so many times its cost.
inline constexpr double kMostExactCost = 20;

// How many neighbors a list of the estimator has.
std::size_t ListLength(const EstimatorSettings& settings);

// What engines are to reckon with.
struct EngineOptions {
  EngineCosts costs;
  // Makes the index of a cloud where an approximate one is wanted; empty: a CloudIndex.
  std::function<std::unique_ptr<ApproximateIndex>(const CloudRows& cloud)> make_index;
};

// How much lower, relatively, the mean may be than with all true neighbors: at most this share of
// the share of neighbors missed. Measured by searching golden clouds and Gaussians of 6000 points
// in 6 to 30 dimensions with poor graphs (recall 0.75 to 0.9995): local TwoNN fell by 0.02 to 0.81
// times the share missed (median 0.44), MLE by up to 0.92, MOM by up to 1.05, Gride by up to 1.48;
// global TwoNN needs but the nearest two and moved by up to 0.85, either way.
double BiasPerMiss(Estimator estimator);

// Searches a cloud by the engine that `settings` ask for, kAuto by the cheaper. After an
// approximate search the recall is measured. Where even the upper end of its interval is below
// kLeastRecall, it searches again with four times the effort, then exactly if that is affordable.
// All decisions follow from the cloud, the settings and the costs. Not thread-safe.
class NeighborSearch {
 public:
  // `queries`: how many are expected. The references must outlive it.
  NeighborSearch(const CloudRows& cloud, const EstimatorSettings& settings, std::size_t queries,
                 const EngineOptions& options, ThreadPool& pool);

  // The lists of these points, as long as the estimator asks for. REQUIRES: ascending, not empty.
  NeighborLists Find(std::span<const std::uint32_t> queries);

  // The engine of the last search, never kAuto.
  IndexKind index() const { return index_; }
  // Over all lists found; 1 for exact ones.
  Recall recall() const;
  // False where the recall is too low and no better search was affordable.
  bool trusted() const { return trusted_; }
  // Why this engine, in one sentence; empty where the settings name it and nothing went wrong.
  const std::string& reason() const { return reason_; }

 private:
  NeighborLists FindExactly(std::span<const std::uint32_t> queries);
  void Choose(std::size_t queries);

  const CloudRows& cloud_;
  const EstimatorSettings& settings_;
  const EngineOptions& options_;
  ThreadPool& pool_;
  const std::size_t neighbors_;
  IndexKind index_;
  std::size_t effort_ = 1;
  bool trusted_ = true;
  std::string reason_;
  std::unique_ptr<ApproximateIndex> approximate_;  // made by the first search that needs it
  std::vector<double> canaries_;                   // the share that each canary found
};

}  // namespace dimwatch
