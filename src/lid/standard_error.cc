#include "src/lid/standard_error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dimwatch {
namespace {

double Squares(std::span<const double> values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return squares;
}

// Sum of squares, and twice the products of each point and its nearest neighbor, each pair once.
// Only queries know their nearest: `pairs_known` is the share of all pairs that they stand for.
double PairedSquares(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                     std::span<const double> shifts, double pairs_known) {
  const double squares = Squares(shifts);
  double products = 0;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const std::uint32_t nearest = lists.ids(q)[0];
    const auto other = std::lower_bound(queries.begin(), queries.end(), nearest);
    if (other != queries.end() && *other == nearest && nearest < queries[q]) {
      const auto other_query = static_cast<std::size_t>(other - queries.begin());
      if (lists.ids(other_query)[0] == queries[q]) continue;  // counted there
    }
    products += shifts[queries[q]] * shifts[nearest];
  }
  return std::max(squares / 2, squares + 2 * products / pairs_known);
}

}  // namespace

std::vector<double> MeanShifts(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                               std::size_t points, const PointwiseDimensions& pointwise) {
  std::vector<double> shifts(points);
  double valid = 0;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (!pointwise.lid[q]) continue;
    valid += 1;
    const std::span<const std::uint32_t> neighborhood = lists.ids(q);
    for (std::size_t j = 0; j < neighborhood.size(); ++j) {
      shifts[neighborhood[j]] +=
          static_cast<double>(pointwise.influence[q * neighborhood.size() + j]);
    }
  }
  const double share = static_cast<double>(queries.size()) / static_cast<double>(points);
  const double paired = PairedSquares(lists, queries, shifts, share);
  const double alone = Squares(shifts);
  const double scale = alone > 0 ? std::sqrt(paired / alone) / valid : 0;
  for (double& shift : shifts) shift *= scale;
  return shifts;
}

double MeanStandardError(std::span<const double> shifts, double spread, std::size_t values) {
  return std::sqrt(Squares(shifts) + spread * spread / static_cast<double>(values));
}

double GlobalStandardError(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                           std::size_t points, std::span<const double> shifts) {
  std::vector<double> of_points(points);
  for (std::size_t q = 0; q < queries.size(); ++q) of_points[queries[q]] = shifts[q];
  return std::sqrt(PairedSquares(lists, queries, of_points, 1));
}

}  // namespace dimwatch
