// How far an estimate lies from that of another draw of the cloud.
//
// Neighborhoods overlap: the spread of the pointwise values divided by the root of their number is
// up to six times too small. What is independent from draw to draw are the points. So count what
// each point a does to the estimate when it weighs more (the infinitesimal jackknife):
//   own_a: by its own value, (LID_a - mean) / queries; 0 if it is no query,
//   g_a:   by the values of others, as their neighbor: the sum of f_qa = influence / queries over
//          the queries q that have a for a neighbor.
//   variance = sum own_a^2 + 2 sum own_a g_a + rho (sum g_a^2 - sum f_qa^2).
// The last sum is taken off as each f_qa is in own_q already (without it the noise of one
// neighborhood would count twice: Efron & Stein 1981; for MLE nearly half of all). rho accounts for
// nearest points, whose ratios of distances share a distance (as a variance robust to spatial
// correlation, Conley 1999): 1 + 2 sum over pairs {q, nearest(q)} g_q g_nearest / sum g_q^2. There
// own_a also meets the g of a's nearest point in the second sum. For estimators without such ratios
// rho is 1. All of it holds for few queries as for all points.
//
// docs/estimators.md has the coverage measured on redraws of every reference generator: where 95 %
// are aimed at, 91 to 97 % for local and global TwoNN on draws that the formula was not chosen by;
// MLE, MOM and Gride 93 to 98 %, but up to 100 % (errors half too large) on clusters of few
// neighborhoods and in 20 dimensions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/knn/neighbor_lists.h"
#include "src/lid/gride.h"
#include "src/lid/pointwise.h"

namespace dimwatch {

struct EstimateError {
  double standard_error = 0;  // finite
  // The part of its square that is due to the choice of the queries: falls as 1 / queries. What
  // remains is the cloud's own.
  double variance_of_choice = 0;
  // own_a + g_a by point, scaled so that the sum of squares is that of standard_error: by how much
  // the estimate moves when a point counts more.
  std::vector<double> shifts;
};

// Of the mean of the valid lid. `lists` belong to `queries`, out of `points`.
// REQUIRES: two valid queries at least.
EstimateError ErrorOfMean(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                          std::size_t points, const PointwiseDimensions& pointwise);

// Of FitGride: `influence` holds for each query GrideInfluence of its ratio, 0 where it has none.
// REQUIRES: lists of 2 n1 or more.
EstimateError ErrorOfGride(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                           std::size_t points, std::size_t n1,
                           std::span<const RatioInfluence> influence);

// Of an estimate from r2 / r1 of each query: only `own` of `influence` counts. `queries` are
// ascending.
EstimateError ErrorOfTwoNn(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                           std::size_t points, std::span<const RatioInfluence> influence);

}  // namespace dimwatch
