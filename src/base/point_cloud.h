// Point clouds: n points in R^d, row-major float32, without gaps between rows.
#pragma once

#include <cassert>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace dimwatch {

// A cloud that somebody else owns.
class PointCloudView {
 public:
  PointCloudView() = default;
  // REQUIRES: data.size() == points * dim.
  PointCloudView(std::span<const float> data, std::size_t points, std::size_t dim)
      : data_(data.data()), points_(points), dim_(dim) {
    assert(data.size() == points * dim);
  }

  std::size_t points() const { return points_; }
  std::size_t dim() const { return dim_; }
  const float* data() const { return data_; }
  std::span<const float> row(std::size_t i) const {
    assert(i < points_);
    return {data_ + i * dim_, dim_};
  }

 private:
  const float* data_ = nullptr;
  std::size_t points_ = 0;
  std::size_t dim_ = 0;
};

// A cloud that owns its rows. Movable; copied only on purpose.
class PointCloud {
 public:
  PointCloud() = default;
  explicit PointCloud(std::size_t dim) : dim_(dim) {}
  // REQUIRES: data.size() is a multiple of dim.
  PointCloud(std::vector<float> data, std::size_t dim) : data_(std::move(data)), dim_(dim) {
    assert(dim_ > 0 && data_.size() % dim_ == 0);
  }

  std::size_t points() const { return dim_ == 0 ? 0 : data_.size() / dim_; }
  std::size_t dim() const { return dim_; }
  std::vector<float>& data() { return data_; }
  PointCloudView view() const { return {data_, points(), dim_}; }

 private:
  std::vector<float> data_;
  std::size_t dim_ = 0;
};

}  // namespace dimwatch
