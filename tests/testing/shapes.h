// Point clouds of known dimension, for tests and benchmarks. The same seed gives the same cloud.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "src/base/point_cloud.h"

namespace dimwatch::testing {

// Standard normal in `dim` dimensions.
inline PointCloud Gaussian(std::size_t points, std::size_t dim, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> data(points * dim);
  for (float& value : data) value = normal(random);
  return {std::move(data), dim};
}

// Uniform in the unit cube.
inline PointCloud Cube(std::size_t points, std::size_t dim, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform;
  std::vector<float> data(points * dim);
  for (float& value : data) value = uniform(random);
  return {std::move(data), dim};
}

// Uniform on the unit sphere of dimension `dim`, in dim + 1 components.
inline PointCloud Sphere(std::size_t points, std::size_t dim, std::uint64_t seed) {
  PointCloud cloud = Gaussian(points, dim + 1, seed);
  for (std::size_t i = 0; i < points; ++i) {
    float* const row = &cloud.data()[i * (dim + 1)];
    double squares = 0;
    for (std::size_t j = 0; j <= dim; ++j) squares += static_cast<double>(row[j] * row[j]);
    for (std::size_t j = 0; j <= dim; ++j) row[j] /= static_cast<float>(std::sqrt(squares));
  }
  return cloud;
}

// `cloud`, times a random matrix, plus 1: the same intrinsic dimension in `dim` components, away
// from the origin.
inline PointCloud Embedded(const PointCloud& cloud, std::size_t dim, std::uint64_t seed) {
  const PointCloudView from = cloud.view();
  const PointCloud matrix = Gaussian(from.dim(), dim, seed);
  std::vector<float> data(from.points() * dim, 1.0f);
  for (std::size_t i = 0; i < from.points(); ++i) {
    for (std::size_t k = 0; k < from.dim(); ++k) {
      const float value = from.row(i)[k];
      for (std::size_t j = 0; j < dim; ++j) data[i * dim + j] += value * matrix.view().row(k)[j];
    }
  }
  return {std::move(data), dim};
}

// Integer grid points: many equal distances, many equal rows.
inline PointCloud Grid(std::size_t points, std::size_t dim, int side, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int> uniform(0, side - 1);
  std::vector<float> data(points * dim);
  for (float& value : data) value = static_cast<float>(uniform(random));
  return {std::move(data), dim};
}

}  // namespace dimwatch::testing
