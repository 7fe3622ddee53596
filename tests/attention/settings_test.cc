#include "src/attention/settings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace dimwatch {
namespace {

std::string Message(const AttentionSettings& settings) {
  EXPECT_TRUE(absl::IsInvalidArgument(Validate(settings)));
  return std::string(Validate(settings).message());
}

TEST(AttentionSettingsTest, DefaultsAndLimitsAreValid) {
  EXPECT_TRUE(Validate(AttentionSettings()).ok());
  EXPECT_TRUE(Validate(AttentionSettings{.epsilon = 0.999, .heads = kMaxHeads}).ok());
}

TEST(AttentionSettingsTest, EpsilonIsBetweenZeroAndOne) {
  for (const double epsilon : {0.0, -0.1, 1.0, 1.5}) {
    EXPECT_FALSE(Validate(AttentionSettings{.epsilon = epsilon}).ok()) << epsilon;
  }
  EXPECT_FALSE(Validate(AttentionSettings{.epsilon = std::nan("")}).ok());
  EXPECT_EQ(Message({.epsilon = 1.5}), "epsilon 1.5 got; allowed is above 0 and below 1");
}

TEST(AttentionSettingsTest, HeadsAreBounded) {
  EXPECT_EQ(Message({.heads = 1025}),
            "heads 1025 got; allowed are 1 to 1024, or 0 to take it from the first batch");
  EXPECT_FALSE(Validate(AttentionSettings{.heads = -1}).ok());
}

}  // namespace
}  // namespace dimwatch
