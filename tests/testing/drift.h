// A stream whose rows come from a cloud that moves and turns, as representations do in training.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/testing/shapes.h"

namespace dimwatch::testing {

// Gaussian in `intrinsic` dimensions, embedded in `dim`. In every `turnover` rows the embedding
// turns by half a radian and its center moves by two standard deviations of a component.
class DriftingRows {
 public:
  DriftingRows(std::size_t dim, std::size_t intrinsic, std::size_t turnover, std::uint64_t seed)
      : dim_(dim),
        intrinsic_(intrinsic),
        turnover_(static_cast<double>(turnover)),
        first_(Gaussian(intrinsic, dim, seed)),
        second_(Gaussian(intrinsic, dim, seed + 1)),
        direction_(Gaussian(1, dim, seed + 2)),
        random_(seed + 3) {}

  std::vector<float> Next(std::size_t rows) {
    std::vector<float> batch(rows * dim_);
    for (std::size_t r = 0; r < rows; ++r, ++count_) {
      const double turns = static_cast<double>(count_) / turnover_;
      const auto cosine = static_cast<float>(std::cos(turns / 2));
      const auto sine = static_cast<float>(std::sin(turns / 2));
      const float moved = static_cast<float>(2 * turns * std::sqrt(intrinsic_));
      float* const row = &batch[r * dim_];
      for (std::size_t j = 0; j < dim_; ++j) row[j] = moved * direction_.view().row(0)[j];
      for (std::size_t k = 0; k < intrinsic_; ++k) {
        const float value = normal_(random_);
        const float* const a = first_.view().row(k).data();
        const float* const b = second_.view().row(k).data();
        for (std::size_t j = 0; j < dim_; ++j) row[j] += value * (cosine * a[j] + sine * b[j]);
      }
    }
    return batch;
  }

 private:
  const std::size_t dim_;
  const std::size_t intrinsic_;
  const double turnover_;
  const PointCloud first_;
  const PointCloud second_;
  const PointCloud direction_;
  std::mt19937_64 random_;
  std::normal_distribution<float> normal_;
  std::size_t count_ = 0;
};

}  // namespace dimwatch::testing
