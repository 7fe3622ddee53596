#include "src/base/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dimwatch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Message(std::string_view name) {
  return std::string(ValidateName("run id", name).message());
}

TEST(ValidateNameTest, AcceptsWhatIsAllowed) {
  EXPECT_TRUE(ValidateName("run id", "train/layer.11_b-2").ok());
  EXPECT_TRUE(ValidateName("run id", std::string(128, 'x')).ok());
}

TEST(ValidateNameTest, SaysWhatWasWrongGotAndAllowed) {
  EXPECT_THAT(Message("a b"), HasSubstr("run id: 'a b' has ' ' in it"));
  EXPECT_THAT(Message("a b"), HasSubstr("1 to 128 characters of A-Z a-z 0-9 . _ / - are allowed"));
  EXPECT_THAT(Message(""), HasSubstr("is empty"));
  EXPECT_THAT(Message(std::string(129, 'x')), HasSubstr("has 129 characters"));
  EXPECT_TRUE(absl::IsInvalidArgument(ValidateName("run id", "")));
}

TEST(ValidateNameTest, NoControlCharacterReachesTheMessage) {
  const std::string message = Message(std::string("a\n\x1b[31m\0/", 9));
  EXPECT_THAT(message, HasSubstr("'a\\n\\x1b[31m\\x00/'"));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  EXPECT_THAT(message, Not(HasSubstr("\x1b")));
}

TEST(ValidateNameTest, LettersBeyondAsciiAreRefused) {
  EXPECT_THAT(Message("caf\xc3\xa9"), HasSubstr("\\xc3"));
}

TEST(NaturalLessTest, NumbersCountAsNumbers) {
  const std::vector<std::string> sorted = {"",          "embed",    "layer.0",    "layer.1",
                                           "layer.1.b", "layer.02", "layer.2",    "layer.10",
                                           "layer.10a", "layer.b",  "layer.b.20", "layers"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      EXPECT_EQ(NaturalLess(sorted[i], sorted[j]), i < j) << sorted[i] << " and " << sorted[j];
    }
  }
  EXPECT_TRUE(NaturalLess("a" + std::string(40, '9'), "a1" + std::string(40, '0')));
}

TEST(QuotedTest, LongTextIsCutShort) { EXPECT_LT(Quoted(std::string(100'000, 'x')).size(), 200u); }

}  // namespace
}  // namespace dimwatch
