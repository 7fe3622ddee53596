// Point clouds of known dimension, for tests and benchmarks. The same seed gives the same cloud.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
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

// On a curved manifold of dimension 12 in 96 components: sines of fixed random waves of Gaussian
// coordinates, with a little noise.
inline PointCloud Curved(std::size_t points, std::uint64_t seed) {
  constexpr std::size_t kLatent = 12, kComponents = 96;
  const PointCloud waves = Gaussian(kComponents, kLatent + 1, 5);
  const PointCloud latent = Gaussian(points, kLatent, seed);
  PointCloud cloud = Gaussian(points, kComponents, ~seed);  // the noise
  for (std::size_t i = 0; i < points; ++i) {
    for (std::size_t j = 0; j < kComponents; ++j) {
      const std::span<const float> wave = waves.view().row(j);
      float phase = 3 * wave[kLatent];
      for (std::size_t k = 0; k < kLatent; ++k) {
        phase += 0.35f * wave[k] * latent.view().row(i)[k];
      }
      float& value = cloud.data()[i * kComponents + j];
      value = std::sin(phase) + 0.02f * value;
    }
  }
  return cloud;
}

// Gaussians of width 1 and 0.3 in turn about fixed centers far apart; each point falls into any
// with the same chance.
inline PointCloud Clusters(std::size_t points, std::size_t dim, std::size_t clusters,
                           std::uint64_t seed) {
  const PointCloud centers = Gaussian(clusters, dim, 99);
  PointCloud cloud = Gaussian(points, dim, seed);
  std::mt19937_64 random(~seed);
  std::uniform_int_distribution<std::size_t> choose(0, clusters - 1);
  for (std::size_t i = 0; i < points; ++i) {
    const std::size_t cluster = choose(random);
    for (std::size_t j = 0; j < dim; ++j) {
      float& value = cloud.data()[i * dim + j];
      value = 6 * centers.view().row(cluster)[j] + (cluster % 2 == 0 ? 1.0f : 0.3f) * value;
    }
  }
  return cloud;
}

// Student's t with three degrees of freedom, elliptical: dense in the middle, far outliers.
inline PointCloud HeavyTailed(std::size_t points, std::size_t dim, std::uint64_t seed) {
  PointCloud cloud = Gaussian(points, dim, seed);
  std::mt19937_64 random(~seed);
  std::chi_squared_distribution<float> squared_scale(3);
  for (std::size_t i = 0; i < points; ++i) {
    const float scale = std::sqrt(3 / squared_scale(random));
    for (std::size_t j = 0; j < dim; ++j) cloud.data()[i * dim + j] *= scale;
  }
  return cloud;
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
