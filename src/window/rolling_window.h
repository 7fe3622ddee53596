// The last W samples of a probe, whatever their steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "src/base/thread_pool.h"
#include "src/knn/generations.h"
#include "src/lid/rolling_cloud.h"
#include "src/lid/settings.h"
#include "src/lid/upkeep.h"
#include "src/window/window.h"

namespace dimwatch {

// Its rows are held as they came, also where graphs of them are kept, or in a RollingCloud.
// A cloud is due with the first batch that brings the rows of steps behind the last estimated one
// to `estimate_every` or more: at most one per step, so that a series strictly grows in step. Which
// one is due follows from the rows held and the steps estimated, so it survives a restart.
// A batch of an earlier step than the newest rows is a rewind: rows of its step and later ones go.
class RollingWindow final : public Window {
 public:
  // `estimated`: steps with an estimate, ascending. What `choice` says is kept for estimates by
  // `settings`, on `pool`, which must outlive the window. REQUIRES: 1 <= estimate_every <=
  // window_points.
  RollingWindow(std::int64_t window_points, std::int64_t estimate_every,
                std::vector<Step> estimated, const EstimatorSettings& settings, UpkeepChoice choice,
                ThreadPool& pool);

  WindowUpdate Add(const WindowBatch& batch) override;
  WindowUpdate Refill(const WindowBatch& batch) override;
  std::optional<Cloud> Close() override { return std::nullopt; }
  std::optional<std::int64_t> first_needed_seq() const override;
  std::int64_t bytes() const override;

 private:
  // The rows of one batch that are still held: all but the first `expired`.
  struct Chunk {
    std::int64_t seq = 0;
    Step step;
    std::vector<float> rows;
    std::vector<std::int64_t> sample_ids;
    std::size_t count = 0;
    std::size_t expired = 0;
    std::int64_t dropped_rows = 0;
  };

  // Return how many rows went.
  std::size_t DropFrom(Step step);
  std::size_t Expire();
  // Brings the rolling cloud up to date.
  void Roll(std::size_t oldest, std::size_t newest, const std::vector<float>& rows);
  bool Due() const;
  // The cloud that is due.
  Cloud Take();
  void CopyRows(Cloud& cloud) const;
  // Brings the graphs up to date. Returns them if most rows held are in them, else null.
  const Generations* Graphs();

  const std::size_t window_points_;
  const std::size_t estimate_every_;
  std::size_t dim_ = 0;
  std::deque<Chunk> chunks_;     // by ascending step
  std::size_t held_ = 0;         // rows in chunks_, without expired ones
  std::vector<Step> estimated_;  // ascending
  const EstimatorSettings settings_;
  const UpkeepChoice choice_;
  ThreadPool& pool_;
  std::unique_ptr<RollingCloud> rolling_;  // of kLists: made when the first batch comes
  std::unique_ptr<Generations> graphs_;    // of kGraphs: made for the first estimate
};

}  // namespace dimwatch
