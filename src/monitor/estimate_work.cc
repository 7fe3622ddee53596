#include "src/monitor/estimate_work.h"

#include <algorithm>

namespace dimwatch {

EstimateWork WorkOf(const EstimatorSettings& settings, std::int64_t rows, std::int64_t dim) {
  const std::int64_t points = std::min(rows, settings.max_points);
  const std::int64_t queries = settings.queries == 0 ? points : std::min(points, settings.queries);
  return {static_cast<double>(queries), static_cast<double>(points) * static_cast<double>(dim),
          settings.target_standard_error == 0 && settings.index != IndexKind::kHnsw};
}

}  // namespace dimwatch
