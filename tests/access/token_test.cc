#include "src/access/token.h"

#include <gmock/gmock.h>

namespace dimwatch {
namespace {

using ::testing::Not;
using ::testing::StartsWith;

TokenEntropy EntropyFrom(unsigned char first) {
  TokenEntropy entropy;
  for (unsigned char& byte : entropy) byte = first++;
  return entropy;
}

Token TokenOf(const std::string& text) {
  Token token;
  token.id = *IdIn(text);
  token.sha256 = Sha256(text);
  return token;
}

TEST(TokenTest, TextHoldsTheIdAndTheSecret) {
  const std::string text = TokenText(EntropyFrom(0));
  EXPECT_EQ(text,
            "dimwatch_000102030405_"
            "060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425");
  EXPECT_EQ(IdIn(text), "000102030405");
}

TEST(TokenTest, WhatIsNoTokenHasNoId) {
  const std::string text = TokenText(EntropyFrom(0));
  for (const std::string& bad :
       {std::string(), text.substr(1), text + "0", text.substr(0, text.size() - 1),
        std::string("dimwatch_"), "dimwatch_" + std::string(12, 'x') + text.substr(21),
        text.substr(0, 21) + "-" + text.substr(22), "Bearer " + text, text + "\n"}) {
    EXPECT_FALSE(IdIn(bad)) << bad;
  }
}

// SHA-256 of "abc": FIPS 180-2, B.1.
TEST(TokenTest, HashIsThatOfTheStandard) {
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(TokenTest, OnlyItsOwnTextFits) {
  const std::string text = TokenText(EntropyFrom(0));
  const Token token = TokenOf(text);
  EXPECT_TRUE(IsTextOf(token, text));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] ^= 1;
    EXPECT_FALSE(IsTextOf(token, other)) << other;
  }
  EXPECT_FALSE(IsTextOf(token, token.sha256));
  EXPECT_FALSE(IsTextOf(Token(), ""));
  EXPECT_THAT(text, Not(StartsWith(token.sha256)));
}

TEST(TokenTest, AdminIncludesTheOtherScopes) {
  Token token;
  token.scopes = {Scope::kIngest};
  EXPECT_TRUE(token.Allows(Scope::kIngest));
  EXPECT_FALSE(token.Allows(Scope::kRead));
  EXPECT_FALSE(token.Allows(Scope::kAdmin));
  token.scopes = {Scope::kAdmin};
  for (const Scope scope : kScopes) EXPECT_TRUE(token.Allows(scope)) << Name(scope);
}

TEST(TokenTest, ProjectsAreCoveredByNameOrAllTogether) {
  Token token;
  EXPECT_FALSE(token.Covers("a"));
  token.projects = {"a", "team/b"};
  EXPECT_TRUE(token.Covers("a") && token.Covers("team/b"));
  EXPECT_FALSE(token.Covers("team") || token.Covers("team/bb") || token.Covers(""));
  token.projects = {kAllProjects};
  EXPECT_TRUE(token.Covers("a"));
}

}  // namespace
}  // namespace dimwatch
