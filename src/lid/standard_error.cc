#include "src/lid/standard_error.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dimwatch {
namespace {

double Squares(std::span<const double> values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return squares;
}

// The same for any order of the values, which is that of a list's entries: in fixed point, to
// 2^-40 of the largest square.
double SquaresInAnyOrder(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(value));
  if (!(largest > 0) || !std::isfinite(largest)) return largest;
  const double scale = std::ldexp(1.0, 40 - 2 * std::ilogb(largest));
  std::int64_t sum = 0;
  for (const float value : values) {
    const auto exact = static_cast<double>(value);
    sum += static_cast<std::int64_t>(exact * exact * scale);
  }
  return static_cast<double>(sum) / scale;
}

// So that each pair of nearest points counts once.
double PairWeight(std::uint8_t mutual) { return mutual != 0 ? 0.5 : 1; }

// rho of the header, from the queries, whose nearest points are known.
double PairFactor(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                  std::span<const double> shifts, std::span<const std::uint8_t> mutual) {
  double products = 0, squares = 0;
  for (std::size_t q = 0; q < mutual.size(); ++q) {
    const double own = shifts[queries[q]];
    products += own * shifts[lists.ids(q)[0]] * PairWeight(mutual[q]);
    squares += own * own;
  }
  return squares > 0 ? std::max(0.5, 1 + 2 * products / squares) : 1;
}

// Sums of the header.
struct Parts {
  double own = 0;        // own^2
  double both = 0;       // own g
  double neighbors = 0;  // g^2
  double single = 0;     // f^2
};

EstimateError Combine(const Parts& parts, double rho, std::vector<double> shifts) {
  const double all = parts.own + 2 * parts.both + rho * parts.neighbors;
  // No more than half of it can have been counted twice. In clouds of few points the products may
  // outweigh the squares.
  const double variance = std::max({all / 2, all - rho * parts.single, parts.own / 4});
  const double squares = Squares(shifts);
  const double scale = squares > 0 ? std::sqrt(variance / squares) : 0;
  for (double& shift : shifts) shift *= scale;
  return {std::sqrt(variance), parts.own, std::move(shifts)};
}

}  // namespace

EstimateError ErrorOfMean(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                          std::size_t points, const PointwiseDimensions& pointwise) {
  double sum = 0, valid = 0;
  for (const std::optional<double>& lid : pointwise.lid) {
    sum += lid.value_or(0);
    valid += lid ? 1 : 0;
  }
  const std::size_t neighbors = lists.neighbors();
  std::vector<double> shifts(points);
  Parts parts;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const std::span influence = std::span(pointwise.influence).subspan(q * neighbors, neighbors);
    for (std::size_t j = 0; j < neighbors; ++j) {
      shifts[lists.ids(q)[j]] += static_cast<double>(influence[j]) / valid;
    }
    parts.single += SquaresInAnyOrder(influence) / (valid * valid);
  }
  parts.neighbors = Squares(shifts);
  const double rho = PairFactor(lists, queries, shifts, pointwise.mutual);
  const auto own = [&](std::size_t q) {
    return pointwise.lid[q] ? (*pointwise.lid[q] - sum / valid) / valid : 0;
  };
  for (std::size_t q = 0; q < queries.size(); ++q) {
    parts.own += own(q) * own(q) * (valid / (valid - 1));
    parts.both += own(q) * shifts[queries[q]];
    if (pointwise.mutual.empty()) continue;
    // Twice: own of the nearest point, times g of the query, is about the same, but rarely known.
    parts.both += own(q) * shifts[lists.ids(q)[0]] * 2 * PairWeight(pointwise.mutual[q]);
  }
  for (std::size_t q = 0; q < queries.size(); ++q) shifts[queries[q]] += own(q);
  return Combine(parts, rho, std::move(shifts));
}

EstimateError ErrorOfGride(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                           std::size_t points, std::size_t n1,
                           std::span<const RatioInfluence> influence) {
  std::vector<double> shifts(points);
  Parts parts;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    for (std::size_t j = 0; j < 2 * n1; ++j) {
      shifts[lists.ids(q)[j]] += j < n1 ? influence[q].near : -influence[q].near;
    }
    parts.single += static_cast<double>(2 * n1) * influence[q].near * influence[q].near;
  }
  parts.neighbors = Squares(shifts);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    parts.own += influence[q].own * influence[q].own;
    parts.both += influence[q].own * shifts[queries[q]];
    shifts[queries[q]] += influence[q].own;
  }
  return Combine(parts, 1, std::move(shifts));
}

EstimateError ErrorOfTwoNn(const NeighborLists& lists, std::span<const std::uint32_t> queries,
                           std::size_t points, std::span<const RatioInfluence> influence) {
  std::vector<double> of_points(points);
  for (std::size_t q = 0; q < queries.size(); ++q) of_points[queries[q]] = influence[q].own;
  std::vector<std::uint8_t> mutual(queries.size());
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const std::uint32_t nearest = lists.ids(q)[0];
    const auto other = std::lower_bound(queries.begin(), queries.end(), nearest);
    mutual[q] = other != queries.end() && *other == nearest &&
                lists.ids(static_cast<std::size_t>(other - queries.begin()))[0] == queries[q];
  }
  const double rho = PairFactor(lists, queries, of_points, mutual);
  const Parts parts{.neighbors = Squares(of_points)};
  EstimateError error = Combine(parts, rho, std::move(of_points));
  error.variance_of_choice = error.standard_error * error.standard_error;
  return error;
}

}  // namespace dimwatch
