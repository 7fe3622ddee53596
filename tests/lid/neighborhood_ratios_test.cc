#include "src/lid/neighborhood_ratios.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/knn/exact.h"
#include "src/knn/patch.h"
#include "src/lid/twonn.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

TEST(NeighborhoodRatiosTest, ListsAnswerAsThePatchAloneDoes) {
  // Few neighbors in many dimensions: some members' lists hold too few of the neighborhood.
  const PointCloud cloud = testing::Gaussian(800, 30, 2);
  const CloudRows rows(cloud.view());
  std::vector<std::uint32_t> all(rows.points());
  std::iota(all.begin(), all.end(), 0u);
  ThreadPool pool(0);
  std::vector<double> from_lists(12), from_patch(12);
  PatchSearch search;
  std::vector<TwoSmallest> nearest(12);
  for (const std::size_t ranked : {1, 2, 5, 12}) {
    const NeighborLists lists = ExactEngine().Search(rows, all, 12, ranked, pool);
    NeighborhoodRatios ratios(rows, lists);
    for (std::size_t p = 0; p < rows.points(); ++p) {
      ratios.Find(p, from_lists);
      search.Search(rows, lists.ids(p), nearest);
      std::ranges::transform(nearest, from_patch.begin(), [](const TwoSmallest& two) {
        return LogRatio(two.first, two.second);
      });
      ASSERT_EQ(from_lists, from_patch) << p << ", " << ranked << " ranked";
    }
  }
}

}  // namespace
}  // namespace dimwatch
