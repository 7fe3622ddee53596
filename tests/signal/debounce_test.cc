#include "src/signal/debounce.h"

#include <gtest/gtest.h>

#include <string>

namespace dimwatch {
namespace {

// One letter an estimate: the condition holds (x) or not (.), and the first letter of the state.
std::string States(Debounce debounce, const std::string& conditions, std::size_t warmup = 0) {
  std::string states;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    states += Name(debounce.Observe(conditions[i] == 'x', i >= warmup))[0];
  }
  return states;
}

TEST(DebounceTest, FiresAfterPatienceAndResolvesAfterPatience) {
  EXPECT_EQ(States(Debounce(3, 0), "..xx.xxxx..x...."), "IIPPIPPFFFFFFFRR");
}

TEST(DebounceTest, PatienceOfOneFollowsTheCondition) {
  EXPECT_EQ(States(Debounce(1, 0), ".x.x"), "IFRF");
}

TEST(DebounceTest, StaysResolvedDuringTheCooldown) {
  EXPECT_EQ(States(Debounce(2, 3), "xx..xxxxx.x"), "PFFRRRRFFFF");
}

TEST(DebounceTest, WhatFiredOnceGoesBackToResolved) {
  EXPECT_EQ(States(Debounce(2, 0), "xx..x.xx"), "PFFRPRPF");
}

TEST(DebounceTest, WarmUpHoldsAtPending) {
  EXPECT_EQ(States(Debounce(2, 0), "xxxxxx", 4), "PPPPFF");
}

}  // namespace
}  // namespace dimwatch
