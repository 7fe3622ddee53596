#include "server/log.h"

#include <gtest/gtest.h>

namespace dimwatch::server {
namespace {

TEST(LogTest, LineIsTextAndPairs) {
  EXPECT_EQ(LogLine("run created", {{"run", "a/b"}, {"rows", 3}}), "run created run=a/b rows=3");
}

TEST(LogTest, ValuesCannotForgeLinesOrPairs) {
  EXPECT_EQ(LogLine("x", {{"run", "a\nb"}}), "x run=\"a\\nb\"");
  EXPECT_EQ(LogLine("x", {{"run", "a level=error"}}), "x run=\"a level=error\"");
  EXPECT_EQ(LogLine("x", {{"run", "\x1b[31m\"\\"}}), "x run=\"\\033[31m\\\"\\\\\"");
  EXPECT_EQ(LogLine("x", {{"run", ""}}), "x run=\"\"");
  EXPECT_EQ(LogLine("x", {{"run", "\xff"}}), "x run=\"\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace dimwatch::server
