#include "src/knn/engine_choice.h"

#include <algorithm>

namespace dimwatch {
namespace {

// In inner products of the exact engine: what it costs to add a point to the graph and to search
// it.
constexpr double kBuildCost = 60'000;
constexpr double kSearchCost = 40'000;

}  // namespace

bool ExactIsCheaper(std::size_t points, std::size_t queries) {
  const auto n = static_cast<double>(points), q = static_cast<double>(queries);
  const double exact = n * std::min(n / 2, q);  // all pairs are multiplied once, not twice
  return exact <= (kBuildCost * n + kSearchCost * q) / 2;
}

}  // namespace dimwatch
