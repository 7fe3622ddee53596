#include "server/log.h"

#include <gtest/gtest.h>

#include <cmath>

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

TEST(LogTest, MembersAreJsonWhateverTheValuesAre) {
  EXPECT_EQ(LogMembers("run created", {{"run", "a/b"}, {"rows", 3}, {"seconds", 0.5}}),
            R"("message":"run created","run":"a/b","rows":3,"seconds":0.5)");
  EXPECT_EQ(LogMembers("x", {{"run", "a\n\"},{\x1b\xff"}, {"share", std::nan("")}}),
            R"("message":"x","run":"a\n\"},{\u001b\ufffd","share":"nan")");
}

}  // namespace
}  // namespace dimwatch::server
