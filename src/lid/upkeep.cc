#include "src/lid/upkeep.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "src/lid/neighbor_search.h"
#include "src/lid/queries.h"

namespace dimwatch {
namespace {

// Seconds from one estimate to the next.
struct Period {
  std::size_t points, queries, arrivals, dim, neighbors;

  double Exact(const EngineCosts& costs) const { return ExactSeconds(costs, points, queries, dim); }
  double Lists(const EngineCosts& costs) const {
    return RollingSeconds(costs, points, arrivals, dim, neighbors);
  }
  double Hnsw(const EngineCosts& costs) const {
    return HnswSeconds(costs, points, queries, dim, neighbors);
  }
  double Graphs(const EngineCosts& costs) const {
    return GenerationsSeconds(costs, points, queries, arrivals, dim, neighbors);
  }
};

}  // namespace

UpkeepChoice ChooseUpkeep(const EstimatorSettings& settings, const RollingShape& shape,
                          const EngineCosts& costs) {
  if (settings.max_points < shape.window_points || settings.target_standard_error > 0 ||
      settings.duplicate_tolerance > 0) {
    return {};
  }
  const auto points = static_cast<std::size_t>(shape.window_points);
  const Period period = {.points = points,
                         .queries = FirstQueries(points, settings),
                         .arrivals = static_cast<std::size_t>(shape.estimate_every),
                         .dim = shape.dim,
                         .neighbors = ListLength(settings)};
  const bool lists = period.queries == points && period.Lists(costs) < period.Exact(costs);
  const bool graphs = period.Graphs(EngineCosts()) < period.Hnsw(EngineCosts());
  const double exact = lists ? period.Lists(costs) : period.Exact(costs);
  const double hnsw = graphs ? period.Graphs(costs) : period.Hnsw(costs);
  const bool is_auto = settings.index == IndexKind::kAuto;
  const bool is_exact = settings.index == IndexKind::kExact || (is_auto && exact <= hnsw);
  UpkeepChoice choice;
  if (is_exact && lists) choice.upkeep = Upkeep::kLists;
  if (!is_exact && graphs) choice.upkeep = Upkeep::kGraphs;
  if (choice.upkeep == Upkeep::kNone) return choice;
  choice.reason = absl::StrFormat(
      "%s%s, expected to be the fastest for %d queries among %d points every %d samples",
      is_auto ? "auto: " : "", is_exact ? "exact lists kept current" : "hnsw with graphs kept",
      period.queries, points, period.arrivals);
  return choice;
}

}  // namespace dimwatch
