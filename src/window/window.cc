#include "src/window/window.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/window/rolling_window.h"
#include "src/window/snapshot_window.h"

namespace dimwatch {

std::unique_ptr<Window> MakeWindow(const ProbeSettings& settings, std::vector<Step> estimated,
                                   ThreadPool& pool) {
  if (settings.window == WindowKind::kRolling) {
    const std::int64_t points = settings.window_points, every = settings.estimate_every;
    // A scale profile wants the rows themselves.
    if (settings.scale_every == 0 && RollingIsCheaper(settings.estimator, points, every)) {
      return std::make_unique<RollingWindow>(points, every, std::move(estimated),
                                             settings.estimator, pool);
    }
    return std::make_unique<RollingWindow>(points, every, std::move(estimated));
  }
  const std::optional<Step> last =
      estimated.empty() ? std::nullopt : std::optional(estimated.back());
  return std::make_unique<SnapshotWindow>(settings.aligned, last);
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
