#include "server/engine_costs.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/testing/temp_folder.h"

namespace dimwatch::server {
namespace {

TEST(EngineCostsTest, AreMeasuredOnceAndThenKept) {
  const ::dimwatch::testing::TempFolder folder;
  const std::filesystem::path file = folder.path() / "engine-costs.json";
  const KnownCosts first = LoadOrMeasure(file, ThreadClock());
  EXPECT_TRUE(first.measured);
  const KnownCosts second = LoadOrMeasure(file, ThreadClock());
  EXPECT_FALSE(second.measured);
  EXPECT_EQ(second.costs, first.costs);
}

TEST(EngineCostsTest, OfAnotherProcessorOrDamagedAreMeasuredAgain) {
  const ::dimwatch::testing::TempFolder folder;
  const std::filesystem::path file = folder.path() / "engine-costs.json";
  std::ofstream(file) << R"({"processor": "another", "exact_pair_ns": 1, "exact_component_ns": 1,
                             "graph_row_ns": 1, "graph_component_ns": 1})";
  EXPECT_TRUE(LoadOrMeasure(file, ThreadClock()).measured);
  std::ofstream(file) << "{\"processor\"";
  EXPECT_TRUE(LoadOrMeasure(file, ThreadClock()).measured);
  EXPECT_FALSE(LoadOrMeasure(file, ThreadClock()).measured);
}

}  // namespace
}  // namespace dimwatch::server
