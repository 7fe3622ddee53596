#include "src/access/token_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

using ::testing::HasSubstr;

Token TokenNamed(const std::string& id) {
  Token token;
  token.id = id;
  token.sha256 = Sha256(id);
  token.projects = {"emotion", "team/b"};
  token.scopes = {Scope::kRead, Scope::kIngest};
  token.create_time = absl::FromUnixSeconds(1'700'000'000);
  token.expire_time = absl::FromUnixSeconds(1'800'000'000);
  token.note = "Ada's \"nightly\" jobs";
  return token;
}

std::string ErrorOf(const std::string& json) {
  const absl::StatusOr<std::vector<Token>> tokens = ParseTokens(json);
  EXPECT_EQ(tokens.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(tokens.status().message());
}

mode_t ModeOf(const std::filesystem::path& file) {
  struct stat status = {};
  EXPECT_EQ(stat(file.c_str(), &status), 0);
  return status.st_mode & 0777;
}

class TokenFileTest : public ::testing::Test {
 protected:
  absl::Status Add(const std::string& id) {
    return EditTokens(file_, [&](std::vector<Token>& tokens) {
      tokens.push_back(TokenNamed(id));
      return absl::OkStatus();
    });
  }

  ::dimwatch::testing::TempFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "tokens.json";
};

TEST_F(TokenFileTest, WhatIsPrintedIsParsedAsTheSame) {
  Token everything = TokenNamed("000000000001");
  everything.projects = {kAllProjects};
  everything.expire_time = absl::InfiniteFuture();
  const std::vector<Token> tokens = {TokenNamed("000000000000"), everything};
  const absl::StatusOr<std::vector<Token>> parsed = ParseTokens(PrintTokens(tokens));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, tokens);
}

TEST_F(TokenFileTest, WhatIsNotUnderstoodIsNoToken) {
  const std::string good = PrintTokens({TokenNamed("000000000000")});
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string json = good;
    const std::size_t at = json.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return ErrorOf(json.replace(at, from.size(), to));
  };
  EXPECT_THAT(with("\"ingest\"", "\"all\""), HasSubstr("token 1: the scope 'all' is not known"));
  EXPECT_THAT(with("\"emotion\"", "\"e*\""), HasSubstr("token 1: project: 'e*'"));
  EXPECT_THAT(with("expire_time", "expires"), HasSubstr("the key 'expires' is not known"));
  EXPECT_THAT(with("2027-01-15", "2027-13-15"), HasSubstr("2027-13-15"));
  EXPECT_THAT(with("\"id\": \"0", "\"id\": \""), HasSubstr("id: 12"));
  EXPECT_THAT(with("\"sha256\": \"", "\"sha256\": \"0"), HasSubstr("sha256: 64"));
  EXPECT_THAT(with("\"id\": \"000000000000\"", "\"id\": 3"), HasSubstr("token 1"));
  EXPECT_THAT(ErrorOf(PrintTokens({TokenNamed("000000000000"), TokenNamed("000000000000")})),
              HasSubstr("token 2: has the id of one before it"));
  for (const std::string json : {"", "[]", "{}", "{\"tokens\": 3}", "{\"tokens\": [], \"x\": 1}",
                                 "{\"tokens\": [{}]}", "{\"tokens\": [3]}"}) {
    ErrorOf(json);
  }
}

TEST_F(TokenFileTest, ATokenWithoutProjectsOrScopesIsRefused) {
  Token token = TokenNamed("000000000000");
  token.projects.clear();
  EXPECT_THAT(ErrorOf(PrintTokens({token})), HasSubstr("projects: at least one"));
  token = TokenNamed("000000000000");
  token.scopes.clear();
  EXPECT_THAT(ErrorOf(PrintTokens({token})), HasSubstr("scopes: at least one"));
}

TEST_F(TokenFileTest, NewFileIsForItsOwnerAloneAndKeepsTheModeItIsGiven) {
  EXPECT_EQ(ReadTokens(file_).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Add("000000000000").ok());
  EXPECT_EQ(ModeOf(file_), 0600U);
  chmod(file_.c_str(), 0640);
  ASSERT_TRUE(Add("000000000001").ok());
  EXPECT_EQ(ModeOf(file_), 0640U);
  EXPECT_EQ(ReadTokens(file_)->size(), 2U);
}

TEST_F(TokenFileTest, ASymbolicLinkStaysOne) {
  ASSERT_TRUE(Add("000000000000").ok());
  std::filesystem::create_symlink(file_, folder_.path() / "link");
  ASSERT_TRUE(EditTokens(folder_.path() / "link", [](std::vector<Token>& tokens) {
                tokens.clear();
                return absl::OkStatus();
              }).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.path() / "link"));
  EXPECT_TRUE(ReadTokens(file_)->empty());
}

TEST_F(TokenFileTest, AnEditThatFailsOrMeetsDamageLeavesTheFile) {
  ASSERT_TRUE(Add("000000000000").ok());
  EXPECT_FALSE(EditTokens(file_, [](std::vector<Token>& tokens) {
                 tokens.clear();
                 return absl::NotFoundError("no such token");
               }).ok());
  EXPECT_EQ(ReadTokens(file_)->size(), 1U);
  std::ofstream(file_) << "{";
  EXPECT_THAT(std::string(Add("000000000001").message()), HasSubstr("tokens.json"));
  EXPECT_EQ(std::filesystem::file_size(file_), 1U);
}

TEST_F(TokenFileTest, EditsAtTheSameTimeAreAllKept) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 10; i < 20; ++i) {
        const std::string id = "00000000" + std::to_string(100 * thread + 1000 + i);
        EXPECT_TRUE(Add(id).ok());
        EXPECT_TRUE(ReadTokens(file_).ok()) << "never half a file";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReadTokens(file_)->size(), 40U);
}

}  // namespace
}  // namespace dimwatch
