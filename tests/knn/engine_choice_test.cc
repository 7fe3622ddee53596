#include "src/knn/engine_choice.h"

#include <gtest/gtest.h>

namespace dimwatch {
namespace {

TEST(EngineChoiceTest, ExactIsCheaperUpToAHundredThousandPoints) {
  EXPECT_TRUE(ExactIsCheaper(10'000, 10'000));
  EXPECT_TRUE(ExactIsCheaper(100'000, 100'000));
  EXPECT_FALSE(ExactIsCheaper(100'001, 100'001));
}

TEST(EngineChoiceTest, FewQueriesNeedNoGraph) { EXPECT_TRUE(ExactIsCheaper(1'000'000, 200)); }

}  // namespace
}  // namespace dimwatch
