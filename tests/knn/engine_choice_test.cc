#include "src/knn/engine_choice.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "src/base/clock.h"

namespace dimwatch {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Monotonic() const override {
    return absl::Nanoseconds(absl::GetCurrentTimeNanos());
  }
};

bool ExactWins(std::size_t points, std::size_t queries, std::size_t dim) {
  const EngineCosts costs;
  return ExactSeconds(costs, points, queries, dim) <= HnswSeconds(costs, points, queries, dim, 128);
}

TEST(EngineChoiceTest, ExactIsCheaperForAllButLargeClouds) {
  for (const std::size_t dim : {128, 768, 4096}) {
    EXPECT_TRUE(ExactWins(20'000, 20'000, dim)) << dim;
    EXPECT_FALSE(ExactWins(3'000'000, 3'000'000, dim)) << dim;
  }
}

TEST(EngineChoiceTest, FewQueriesNeedNoGraph) { EXPECT_TRUE(ExactWins(1'000'000, 200, 768)); }

TEST(EngineChoiceTest, OnlyNearTheCrossoverItIsACloseCall) {
  const EngineCosts costs;
  EXPECT_FALSE(IsCloseCall(costs, 10'000, 10'000, 768, 128));
  EXPECT_TRUE(IsCloseCall(costs, 400'000, 400'000, 768, 128));
  EXPECT_FALSE(IsCloseCall(costs, 2'000'000, 2'000'000, 4096, 128));
}

TEST(EngineChoiceTest, CostsAreMeasuredAndPositive) {
  const EngineCosts costs = MeasureEngineCosts(RealClock());
  EXPECT_GT(costs.exact_pair + costs.exact_component, 0);
  EXPECT_GT(costs.graph_row, 0);
  EXPECT_GT(costs.graph_component, 0);
  // A search of twice the points takes four times as long, and nearly twice as long.
  EXPECT_NEAR(ExactSeconds(costs, 20'000, 20'000, 768) / ExactSeconds(costs, 10'000, 10'000, 768),
              4, 0.15);
  EXPECT_LT(HnswSeconds(costs, 20'000, 20'000, 768, 128),
            2.5 * HnswSeconds(costs, 10'000, 10'000, 768, 128));
}

}  // namespace
}  // namespace dimwatch
