#include "src/lid/upkeep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dimwatch {
namespace {

using ::testing::IsEmpty;
using ::testing::StartsWith;

EstimatorSettings Settings(IndexKind index) {
  EstimatorSettings settings;
  settings.index = index;
  settings.max_points = 1'000'000;
  return settings;
}

Upkeep Choose(const EstimatorSettings& settings, std::int64_t points, std::int64_t every,
              const EngineCosts& costs = {}) {
  return ChooseUpkeep(settings, {points, every, 768}, costs).upkeep;
}

TEST(UpkeepTest, ListsAreKeptWhereEstimatesAreFrequent) {
  EXPECT_EQ(Choose(Settings(IndexKind::kExact), 20'000, 1'000), Upkeep::kLists);
  EXPECT_EQ(Choose(Settings(IndexKind::kExact), 20'000, 20'000), Upkeep::kNone);
}

TEST(UpkeepTest, TheMachinesCostsDecideWhatFrequentMeans) {
  EngineCosts costs;
  EXPECT_EQ(Choose(Settings(IndexKind::kExact), 20'000, 6'000, costs), Upkeep::kNone);
  costs.graph_row /= 4;
  EXPECT_EQ(Choose(Settings(IndexKind::kExact), 20'000, 6'000, costs), Upkeep::kLists);
}

TEST(UpkeepTest, AutoKeepsListsOfALargeWindowWhereEstimatesAreFrequentEnough) {
  EXPECT_EQ(Choose(Settings(IndexKind::kAuto), 20'000, 1'000), Upkeep::kLists);
  EXPECT_EQ(Choose(Settings(IndexKind::kAuto), 900'000, 4'000), Upkeep::kLists);
  EXPECT_EQ(Choose(Settings(IndexKind::kAuto), 900'000, 400'000), Upkeep::kNone);
}

TEST(UpkeepTest, GraphsAreKeptWhereBuildingThemIsWhatCosts) {
  EstimatorSettings settings = Settings(IndexKind::kHnsw);
  settings.queries = 5'000;
  EXPECT_EQ(Choose(settings, 400'000, 10'000), Upkeep::kGraphs);
  EXPECT_EQ(Choose(settings, 400'000, 300'000), Upkeep::kNone);
}

TEST(UpkeepTest, WhatGraphsAreKeptOfANamedIndexDoesNotDependOnTheMachine) {
  EngineCosts costs = {.exact_pair = 1e3, .graph_row = 1};
  for (const std::int64_t every : {10'000, 300'000}) {
    EstimatorSettings settings = Settings(IndexKind::kHnsw);
    settings.queries = 5'000;
    EXPECT_EQ(Choose(settings, 400'000, every, costs), Choose(settings, 400'000, every));
  }
}

TEST(UpkeepTest, AutoKeepsGraphsWhereExactListsCostMore) {
  EngineCosts costs;
  costs.exact_pair = 1e4;
  EstimatorSettings settings = Settings(IndexKind::kAuto);
  settings.queries = 5'000;
  EXPECT_EQ(Choose(settings, 400'000, 10'000, costs), Upkeep::kGraphs);
}

TEST(UpkeepTest, NothingIsKeptForEstimatesOfAPartOfTheRows) {
  for (const IndexKind index : {IndexKind::kExact, IndexKind::kHnsw, IndexKind::kAuto}) {
    EstimatorSettings settings = Settings(index);
    settings.max_points = 19'999;
    EXPECT_EQ(Choose(settings, 20'000, 100), Upkeep::kNone);
    settings = Settings(index);
    settings.duplicate_tolerance = 0.01;
    EXPECT_EQ(Choose(settings, 20'000, 100), Upkeep::kNone);
  }
  EstimatorSettings settings = Settings(IndexKind::kAuto);
  settings.target_standard_error = 0.01;
  EXPECT_EQ(Choose(settings, 20'000, 100), Upkeep::kNone);
  settings = Settings(IndexKind::kExact);
  settings.queries = 100;
  EXPECT_EQ(Choose(settings, 20'000, 100), Upkeep::kNone);
}

TEST(UpkeepTest, TheReasonNamesWhatIsKeptAndTheSizesThatDecided) {
  EXPECT_EQ(ChooseUpkeep(Settings(IndexKind::kAuto), {20'000, 1'000, 768}, {}).reason,
            "auto: exact lists kept current, expected to be the fastest for 20000 queries among "
            "20000 points every 1000 samples");
  EXPECT_THAT(ChooseUpkeep(Settings(IndexKind::kExact), {20'000, 1'000, 768}, {}).reason,
              StartsWith("exact lists kept current"));
  EXPECT_THAT(ChooseUpkeep(Settings(IndexKind::kExact), {20'000, 20'000, 768}, {}).reason,
              IsEmpty());
}

}  // namespace
}  // namespace dimwatch
