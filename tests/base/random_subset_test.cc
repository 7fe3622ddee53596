#include "src/base/random_subset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace dimwatch {
namespace {

std::vector<std::uint64_t> FirstKeys(std::size_t count) {
  std::vector<std::uint64_t> keys(count);
  std::iota(keys.begin(), keys.end(), std::uint64_t{0});
  return keys;
}

TEST(ChooseUniformlyTest, GivesSoManyInOrder) {
  const std::vector<std::uint32_t> chosen = ChooseUniformly(FirstKeys(1000), 100, 7);
  EXPECT_EQ(chosen.size(), 100u);
  EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
  EXPECT_EQ(ChooseUniformly(FirstKeys(10), 10, 7).size(), 10u);
  EXPECT_TRUE(ChooseUniformly(FirstKeys(10), 0, 7).empty());
}

TEST(ChooseUniformlyTest, EveryIdIsAsLikely) {
  std::vector<int> times(100);
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    for (const std::uint32_t id : ChooseUniformly(FirstKeys(100), 25, seed)) ++times[id];
  }
  // Binomial: mean 1000, standard deviation 27.
  EXPECT_GT(*std::min_element(times.begin(), times.end()), 1000 - 5 * 27);
  EXPECT_LT(*std::max_element(times.begin(), times.end()), 1000 + 5 * 27);
}

std::vector<std::uint64_t> KeysOf(const std::vector<std::uint64_t>& keys,
                                  const std::vector<std::uint32_t>& chosen) {
  std::vector<std::uint64_t> of_chosen;
  for (const std::uint32_t number : chosen) of_chosen.push_back(keys[number]);
  std::sort(of_chosen.begin(), of_chosen.end());
  return of_chosen;
}

TEST(ChooseUniformlyTest, AKeyLessChangesLittleAndTheirOrderNothing) {
  std::vector<std::uint64_t> keys = FirstKeys(1000);
  const std::vector<std::uint64_t> before = KeysOf(keys, ChooseUniformly(keys, 100, 3));
  std::reverse(keys.begin(), keys.end());
  EXPECT_EQ(KeysOf(keys, ChooseUniformly(keys, 100, 3)), before);
  std::erase(keys, before[50]);
  const std::vector<std::uint64_t> after = KeysOf(keys, ChooseUniformly(keys, 100, 3));
  std::vector<std::uint64_t> common;
  std::ranges::set_intersection(before, after, std::back_inserter(common));
  EXPECT_EQ(common.size(), 99u);
}

}  // namespace
}  // namespace dimwatch
