#include "src/window/window.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/lid/rolling_cloud.h"
#include "src/lid/upkeep.h"
#include "src/window/rolling_window.h"
#include "src/window/snapshot_window.h"

namespace dimwatch {

namespace {

constexpr std::int64_t kMostListBytes = 1 << 30;  // of lists that are kept, with their rows

// What is kept of a rolling window.
UpkeepChoice ChoiceFor(const ProbeSettings& settings, const EngineCosts& costs) {
  const RollingShape shape = {.window_points = settings.window_points,
                              .estimate_every = settings.estimate_every,
                              .dim = static_cast<std::size_t>(settings.dim)};
  UpkeepChoice choice = ChooseUpkeep(settings.estimator, shape, costs);
  if (choice.upkeep != Upkeep::kLists) return choice;
  const std::int64_t bytes = RollingCloudBytes(
      settings.estimator, static_cast<std::size_t>(settings.window_points), shape.dim);
  // A scale profile wants the rows themselves.
  if (settings.scale_every > 0 || bytes > kMostListBytes) choice = {};
  return choice;
}

}  // namespace

std::unique_ptr<Window> MakeWindow(const ProbeSettings& settings, std::vector<Step> estimated,
                                   ThreadPool& pool, const EngineCosts& costs) {
  if (settings.window == WindowKind::kRolling) {
    return std::make_unique<RollingWindow>(settings.window_points, settings.estimate_every,
                                           std::move(estimated), settings.estimator,
                                           ChoiceFor(settings, costs), pool);
  }
  const std::optional<Step> last =
      estimated.empty() ? std::nullopt : std::optional(estimated.back());
  return std::make_unique<SnapshotWindow>(settings.aligned, last);
}

std::int64_t ExpectedWindowBytes(const ProbeSettings& settings, std::int64_t rows,
                                 const EngineCosts& costs) {
  const auto dim = static_cast<std::size_t>(settings.dim);
  const auto count = static_cast<std::size_t>(rows);
  const std::int64_t of_rows = rows * settings.dim * static_cast<std::int64_t>(sizeof(float));
  if (settings.window == WindowKind::kSnapshot) return of_rows;
  switch (ChoiceFor(settings, costs).upkeep) {
    case Upkeep::kLists:
      return RollingCloudBytes(settings.estimator, count, dim);
    case Upkeep::kGraphs:
      return 2 * of_rows + GenerationsBytes(count);
    case Upkeep::kNone:
      break;
  }
  return 2 * of_rows;
}

std::int64_t DecodeRows(const WindowBatch& batch, std::vector<float>& rows) {
  const std::size_t before = rows.size();
  rows.resize(before + batch.rows * batch.dim);
  const std::span<float> added = std::span(rows).subspan(before);
  DecodeComponents(batch.dtype, batch.data, added);
  std::int64_t nonfinite = 0;
  for (std::size_t i = 0; i < batch.rows; ++i) {
    const std::span<const float> row = added.subspan(i * batch.dim, batch.dim);
    if (!std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); })) {
      ++nonfinite;
    }
  }
  return nonfinite;
}

}  // namespace dimwatch
