#include "src/lid/summary.h"

#include <gtest/gtest.h>

namespace dimwatch {
namespace {

TEST(SummaryTest, MeanSpreadAndQuantiles) {
  const Summary summary = Summarize(std::vector<double>{4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(*summary.mean, 2.5);
  EXPECT_DOUBLE_EQ(*summary.std, 1.2909944487358056);
  ASSERT_EQ(summary.quantiles.size(), kQuantiles.size());
  EXPECT_EQ(summary.quantiles[2], (Quantile{0.5, 2.5}));
  EXPECT_DOUBLE_EQ(summary.quantiles[0].value, 1.15);  // numpy's linear interpolation
  EXPECT_DOUBLE_EQ(summary.quantiles[4].value, 3.85);
}

TEST(SummaryTest, OneValueHasNoSpreadAndNothingHasNoMean) {
  EXPECT_EQ(*Summarize(std::vector<double>{7}).mean, 7);
  EXPECT_FALSE(Summarize(std::vector<double>{7}).std);
  EXPECT_FALSE(Summarize({}).mean);
  EXPECT_TRUE(Summarize({}).quantiles.empty());
}

}  // namespace
}  // namespace dimwatch
