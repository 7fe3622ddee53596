// What gathers the samples of a probe into point clouds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/dtype.h"
#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/base/types.h"
#include "src/knn/engine_choice.h"
#include "src/knn/generations.h"
#include "src/lid/rolling_cloud.h"
#include "src/window/settings.h"

namespace dimwatch {

// One batch of rows on its way into a window. `data` is borrowed for the call.
struct WindowBatch {
  std::int64_t seq = 0;  // strictly increasing over the batches of a window
  Step step;
  DType dtype = DType::kF32;
  std::size_t rows = 0;                      // 0: all were refused
  std::size_t dim = 0;                       // the same for all batches of a window
  std::string_view data;                     // rows x dim components, row-major, little-endian
  std::span<const std::int64_t> sample_ids;  // empty, or one per row
  bool snapshot_end = false;
  std::int64_t dropped_rows = 0;  // rows of its step that never came
};

// A cloud that is ready to be estimated.
struct Cloud {
  Step step;                             // of its newest rows
  PointCloud rows;                       // in order of arrival
  std::vector<std::int64_t> sample_ids;  // one per row; empty if any batch came without
  std::int64_t dropped_rows = 0;
  double fill = 1;  // share of the window that is filled, 0 to 1
  // What the window keeps, until its next batch: the rows, in the place of `rows`, or graphs of
  // most of them; or null.
  RollingCloud* rolling = nullptr;
  const Generations* graphs = nullptr;
  std::string kept_reason = {};  // why it keeps that, in one sentence; empty where it keeps nothing

  std::size_t samples() const { return rolling != nullptr ? rolling->rows() : rows.points(); }
};

// What one batch did. A rewind comes before the clouds.
struct WindowUpdate {
  std::optional<Step> rewound_to;   // the job went back: what was gathered from there on is void
  std::vector<Cloud> clouds;        // by ascending step
  std::int64_t nonfinite_rows = 0;  // rows of the batch that hold a NaN or an infinity
};

// Guaranteed, for every kind:
//  1. The rows held, and which clouds later batches give, depend on the batches from
//     first_needed_seq() on alone (and on the steps estimated before).
//  2. Memory: no more than the open snapshot, or window_points rows and one batch; where rows are
//     held in a RollingCloud, about twice that and the lists; where graphs are kept, those, too.
// Not thread-safe: owned by the run's single writer.
class Window {
 public:
  virtual ~Window() = default;
  virtual WindowUpdate Add(const WindowBatch& batch) = 0;
  // As Add, for a batch whose effects are known from before: ROLLING gives no clouds.
  virtual WindowUpdate Refill(const WindowBatch& batch) = 0;
  // The run ends: gives the open snapshot, if there is one.
  virtual std::optional<Cloud> Close() = 0;

  // Batches from this seq on are needed to fill such a window again; none: no batch is.
  virtual std::optional<std::int64_t> first_needed_seq() const = 0;
  virtual std::int64_t bytes() const = 0;
};

// `estimated`: the steps at which this probe has estimates, ascending; empty for a new probe.
// `pool` must outlive the window. REQUIRES: settings are valid, and say the dimension.
std::unique_ptr<Window> MakeWindow(const ProbeSettings& settings, std::vector<Step> estimated,
                                   ThreadPool& pool, const EngineCosts& costs);

// The bytes that such a window takes with so many rows, and what is kept for its estimates, about:
// rows (twice where an estimate copies them), lists (which are not kept where they would take more
// than 1 GiB), graphs. Not what an estimate needs besides.
std::int64_t ExpectedWindowBytes(const ProbeSettings& settings, std::int64_t rows,
                                 const EngineCosts& costs);

// Decodes the rows of `batch` behind `rows` and returns how many of them are not finite.
std::int64_t DecodeRows(const WindowBatch& batch, std::vector<float>& rows);

}  // namespace dimwatch
