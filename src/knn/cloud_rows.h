// The points of a cloud that take part: chosen rows, in order, none copied.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "src/base/point_cloud.h"

namespace dimwatch {

// Point p is row `source(p)` of the cloud. The cloud must outlive it. Immutable, so thread-safe.
class CloudRows {
 public:
  // All rows.
  explicit CloudRows(PointCloudView cloud) : cloud_(cloud), sources_(cloud.points()) {
    for (std::size_t i = 0; i < sources_.size(); ++i) sources_[i] = static_cast<std::uint32_t>(i);
  }
  // REQUIRES: `sources` are rows of the cloud.
  CloudRows(PointCloudView cloud, std::vector<std::uint32_t> sources)
      : cloud_(cloud), sources_(std::move(sources)) {}

  std::size_t points() const { return sources_.size(); }
  std::size_t dim() const { return cloud_.dim(); }
  std::uint32_t source(std::size_t point) const { return sources_[point]; }
  const float* row(std::size_t point) const {
    assert(point < sources_.size());
    return cloud_.data() + sources_[point] * cloud_.dim();
  }

 private:
  PointCloudView cloud_;
  std::vector<std::uint32_t> sources_;
};

}  // namespace dimwatch
