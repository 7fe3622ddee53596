#include "src/lid/standard_error.h"

#include <cmath>
#include <vector>

namespace dimwatch {

std::optional<double> MeanStandardError(const NeighborLists& lists,
                                        std::span<const std::uint32_t> queries, std::size_t points,
                                        const PointwiseDimensions& pointwise, double mean) {
  std::vector<double> shift(points);
  double valid = 0;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    if (!pointwise.lid[q]) continue;
    valid += 1;
    shift[queries[q]] += *pointwise.lid[q] - mean;
    for (std::size_t j = 0; j < lists.neighbors(); ++j) {
      shift[lists.ids(q)[j]] += static_cast<double>(pointwise.influence[q * lists.neighbors() + j]);
    }
  }
  if (valid < 2) return std::nullopt;
  double squares = 0;
  for (const double value : shift) squares += value * value;
  return std::sqrt(squares) / valid;
}

}  // namespace dimwatch
