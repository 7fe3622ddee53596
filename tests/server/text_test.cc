#include "server/text.h"

#include <gtest/gtest.h>

namespace dimwatch::server {
namespace {

constexpr char kBad[] = "\xEF\xBF\xBD";

TEST(TextTest, WellFormedTextStays) {
  for (const std::string text : {"", "abc", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    EXPECT_EQ(ValidUtf8(text), text);
    EXPECT_TRUE(IsPlainText(text));
  }
}

TEST(TextTest, EveryBadByteIsReplacedByItself) {
  EXPECT_EQ(ValidUtf8("a\xFF\x62"), std::string("a") + kBad + "b");
  EXPECT_EQ(ValidUtf8("\xC3"), kBad);                          // cut off
  EXPECT_EQ(ValidUtf8("\xC0\x80"), std::string(kBad) + kBad);  // overlong
  EXPECT_EQ(ValidUtf8("\xE0\x80\x80").size(), 9U);             // overlong
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80").size(), 9U);             // surrogate
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80").size(), 12U);        // above U+10FFFF
  EXPECT_EQ(ValidUtf8("\xE2\x82\x41"), std::string(kBad) + kBad + "A");
}

TEST(TextTest, ControlCharactersAreNotPlain) {
  for (const std::string text :
       {"\n", "\x1b[0m", "\x7f", "\xC2\x85", std::string("\0", 1).c_str()}) {
    if (text.empty()) continue;
    EXPECT_FALSE(IsPlainText("a" + text)) << text;
  }
  EXPECT_EQ(PlainText("a\nb"), std::string("a") + kBad + "b");
  EXPECT_EQ(PlainText(std::string("a\0b", 3)), std::string("a") + kBad + "b");
  EXPECT_TRUE(IsPlainText("\xC2\xA0"));
}

TEST(TextTest, AnyBytesComeOutWellFormed) {
  std::uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525U + 1013904223U;
      bytes += static_cast<char>(state >> 24);
    }
    const std::string clean = ValidUtf8(bytes);
    EXPECT_EQ(ValidUtf8(clean), clean);
    for (std::string_view rest = clean; !rest.empty(); rest.remove_prefix(Utf8Length(rest))) {
      ASSERT_GT(Utf8Length(rest), 0U);
    }
  }
}

}  // namespace
}  // namespace dimwatch::server
