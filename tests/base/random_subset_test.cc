#include "src/base/random_subset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace dimwatch {
namespace {

std::vector<std::uint32_t> FirstIds(std::size_t count) {
  std::vector<std::uint32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0u);
  return ids;
}

TEST(ChooseUniformlyTest, GivesSoManyInOrder) {
  const std::vector<std::uint32_t> chosen = ChooseUniformly(FirstIds(1000), 100, 7);
  EXPECT_EQ(chosen.size(), 100u);
  EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
  EXPECT_EQ(ChooseUniformly(FirstIds(10), 10, 7), FirstIds(10));
  EXPECT_TRUE(ChooseUniformly(FirstIds(10), 0, 7).empty());
}

TEST(ChooseUniformlyTest, EveryIdIsAsLikely) {
  std::vector<int> times(100);
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    for (const std::uint32_t id : ChooseUniformly(FirstIds(100), 25, seed)) ++times[id];
  }
  // Binomial: mean 1000, standard deviation 27.
  EXPECT_GT(*std::min_element(times.begin(), times.end()), 1000 - 5 * 27);
  EXPECT_LT(*std::max_element(times.begin(), times.end()), 1000 + 5 * 27);
}

TEST(ChooseUniformlyTest, AnIdLessChangesLittle) {
  std::vector<std::uint32_t> ids = FirstIds(1000);
  const std::vector<std::uint32_t> before = ChooseUniformly(ids, 100, 3);
  ids.erase(ids.begin() + before[50]);
  const std::vector<std::uint32_t> after = ChooseUniformly(ids, 100, 3);
  std::vector<std::uint32_t> common;
  std::ranges::set_intersection(before, after, std::back_inserter(common));
  EXPECT_EQ(common.size(), 99u);
}

}  // namespace
}  // namespace dimwatch
