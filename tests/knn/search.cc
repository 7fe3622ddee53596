#include "tests/knn/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "src/knn/distance.h"

namespace dimwatch::testing {

std::vector<std::uint32_t> AllPoints(std::size_t points) {
  std::vector<std::uint32_t> all(points);
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

NeighborLists SearchAll(const NeighborEngine& engine, const PointCloud& cloud,
                        std::size_t neighbors, std::size_t threads) {
  ThreadPool pool(threads);
  return engine.Search(CloudRows(cloud.view()), AllPoints(cloud.points()), neighbors, neighbors,
                       pool);
}

NeighborLists BruteForce(const PointCloud& cloud, std::size_t neighbors) {
  const CloudRows rows(cloud.view());
  NeighborLists lists(rows.points(), neighbors, neighbors);
  for (std::uint32_t p = 0; p < rows.points(); ++p) {
    std::vector<std::pair<float, std::uint32_t>> others;
    for (std::uint32_t other = 0; other < rows.points(); ++other) {
      if (other == p) continue;
      others.emplace_back(SquaredDistance(rows.row(p), rows.row(other), rows.dim()), other);
    }
    std::sort(others.begin(), others.end());
    for (std::size_t j = 0; j < neighbors; ++j) {
      lists.ids(p)[j] = others[j].second;
      lists.distances(p)[j] = std::sqrt(others[j].first);
    }
  }
  return lists;
}

::testing::AssertionResult SameLists(const NeighborLists& got, const NeighborLists& expected) {
  if (got.queries() != expected.queries() || got.ranked() != expected.ranked()) {
    return ::testing::AssertionFailure() << "shapes differ";
  }
  for (std::size_t q = 0; q < got.queries(); ++q) {
    for (std::size_t j = 0; j < got.neighbors(); ++j) {
      if (got.ids(q)[j] == expected.ids(q)[j] && got.distances(q)[j] == expected.distances(q)[j]) {
        continue;
      }
      return ::testing::AssertionFailure()
             << "neighbor " << j << " of query " << q << ": got " << got.ids(q)[j] << " at "
             << got.distances(q)[j] << ", expected " << expected.ids(q)[j] << " at "
             << expected.distances(q)[j];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace dimwatch::testing
