#include "src/attention/estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace dimwatch {
namespace {

using ::testing::ElementsAre;
using Prompts = std::vector<PromptDimension>;

TEST(AttentionEstimateTest, MeanSpreadAndErrorOverThePrompts) {
  const Prompts prompts = {{0, 4}, {1, 1}, {2, 3}, {3, 2}};
  const AttentionEstimate estimate = EstimateAttention(prompts, 2, {.epsilon = 0.2, .heads = 3});
  EXPECT_DOUBLE_EQ(*estimate.mean, 2.5);
  EXPECT_DOUBLE_EQ(*estimate.std, 1.2909944487358056);
  EXPECT_DOUBLE_EQ(*estimate.standard_error, 1.2909944487358056 / 2);
  EXPECT_EQ(estimate.quantiles[2], (Quantile{0.5, 2.5}));
  EXPECT_EQ(estimate.prompts, 4);
  EXPECT_EQ(estimate.invalid, 2);
  EXPECT_EQ(estimate.settings, (AttentionSettings{.epsilon = 0.2, .heads = 3}));
}

TEST(AttentionEstimateTest, OnePromptHasNoErrorAndNoneNoMean) {
  const AttentionEstimate one = EstimateAttention(Prompts{{5, 7}}, 0, {});
  EXPECT_EQ(*one.mean, 7);
  EXPECT_FALSE(one.std || one.standard_error);
  const AttentionEstimate none = EstimateAttention({}, 3, {});
  EXPECT_FALSE(none.mean);
  EXPECT_TRUE(none.quantiles.empty());
  EXPECT_EQ(none.invalid, 3);
}

TEST(AttentionEstimateTest, OfEqualPromptsTheFirstIsKept) {
  Prompts prompts = {{9, 1}, {-2, 5}, {9, 3}, {0, 2}};
  SortByPrompt(prompts);
  EXPECT_THAT(prompts,
              ElementsAre(PromptDimension{-2, 5}, PromptDimension{0, 2}, PromptDimension{9, 1}));
}

TEST(AttentionChangeTest, IsTheMeanDifferenceOverPromptsInBoth) {
  const Prompts before = {{1, 5}, {2, 5}, {3, 5}, {7, 100}};
  const Prompts now = {{0, 50}, {1, 6}, {2, 8}, {3, 7}, {9, 50}};
  const auto change = CompareAttention(before, now);  // +1, +3, +2
  ASSERT_TRUE(change);
  EXPECT_DOUBLE_EQ(change->mean, 2);
  EXPECT_DOUBLE_EQ(change->standard_error, 1 / std::sqrt(3.0));
  EXPECT_EQ(change->prompts, 3);
}

TEST(AttentionChangeTest, ACommonChangeHasNoErrorHoweverThePromptsDiffer) {
  const auto change = CompareAttention(Prompts{{1, 2}, {2, 90}}, Prompts{{1, 4}, {2, 92}});
  ASSERT_TRUE(change);
  EXPECT_DOUBLE_EQ(change->mean, 2);
  EXPECT_DOUBLE_EQ(change->standard_error, 0);
}

TEST(AttentionChangeTest, NeedsTwoPromptsInBoth) {
  EXPECT_FALSE(CompareAttention(Prompts{{1, 2}, {2, 3}}, Prompts{{2, 3}, {4, 3}}));
  EXPECT_FALSE(CompareAttention({}, Prompts{{2, 3}, {4, 3}}));
  EXPECT_FALSE(CompareAttention(Prompts{{2, 3}, {4, 3}}, {}));
}

}  // namespace
}  // namespace dimwatch
