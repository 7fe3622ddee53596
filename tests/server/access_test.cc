#include "server/access.h"

#include <gmock/gmock.h>

#include "dimwatch/v1/ingest.pb.h"
#include "dimwatch/v1/query.pb.h"
#include "dimwatch/v1/run.pb.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string TextOf(unsigned char first) {
  TokenEntropy entropy;
  entropy.fill(first);
  return TokenText(entropy);
}

class AccessTest : public ::testing::Test {
 protected:
  Token Make(unsigned char first, const std::string& project, Scope scope) const {
    Token token;
    token.id = *IdIn(TextOf(first));
    token.sha256 = Sha256(TextOf(first));
    token.projects = {project};
    token.scopes = {scope};
    token.expire_time = clock_.Now() + absl::Hours(1);
    return token;
  }

  Principal Enter(unsigned char first) const {
    const absl::StatusOr<Principal> principal = access_.Authenticate("Bearer " + TextOf(first));
    EXPECT_TRUE(principal.ok()) << principal.status();
    return *principal;
  }

  ::dimwatch::testing::ManualClock clock_;
  Access access_{clock_, [](const std::string& run_id) -> std::optional<std::string> {
                   if (run_id == "theirs/1") return "theirs";
                   return run_id == "ours/1" ? std::optional("ours") : std::nullopt;
                 }};
};

TEST_F(AccessTest, WithoutTokensEverybodyMayDoEverything) {
  const absl::StatusOr<Principal> anybody = access_.Authenticate("");
  ASSERT_TRUE(anybody.ok());
  v1::DeleteRunRequest request;
  request.set_run_id("theirs/1");
  EXPECT_TRUE(access_.Authorize(*anybody, request).ok());
  EXPECT_TRUE(anybody->Covers("any"));
  access_.SetTokens({});
  EXPECT_TRUE(absl::IsUnauthenticated(access_.Authorize(*anybody, request)));
}

TEST_F(AccessTest, OnlyTheExactTokenIsTaken) {
  access_.SetTokens({Make(1, "ours", Scope::kRead)});
  EXPECT_TRUE(access_.Authenticate("bearer  " + TextOf(1) + " ").ok());
  for (const std::string& wrong :
       {std::string(), std::string("Bearer"), "Bearer " + TextOf(2), TextOf(1),
        "Basic " + TextOf(1), "Bearer " + TextOf(1) + ", Bearer " + TextOf(1),
        "Bearer " + TextOf(1).substr(0, 22) + std::string(64, '0')}) {
    const absl::Status status = access_.Authenticate(wrong).status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << wrong;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(TextOf(1)))) << "no secret in errors";
  }
}

TEST_F(AccessTest, ATokenIsGoodUntilItExpiresIsRevokedOrChanges) {
  Token token = Make(1, "ours", Scope::kRead);
  access_.SetTokens({token});
  const Principal principal = Enter(1);
  EXPECT_TRUE(access_.Check(principal).ok());
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(std::string(access_.Check(principal).message()), HasSubstr("expired at"));
  EXPECT_TRUE(absl::IsUnauthenticated(access_.Authenticate("Bearer " + TextOf(1)).status()));
  token.expire_time = absl::InfiniteFuture();
  access_.SetTokens({token});
  EXPECT_TRUE(absl::IsUnauthenticated(access_.Check(principal))) << "changed";
  const Principal again = Enter(1);
  EXPECT_TRUE(access_.Check(again).ok());
  access_.SetTokens({});
  EXPECT_TRUE(absl::IsUnauthenticated(access_.Check(again)));
}

TEST_F(AccessTest, EveryNamedRunAndProjectCounts) {
  access_.SetTokens({Make(1, "ours", Scope::kAdmin), Make(2, kAllProjects, Scope::kAdmin)});
  v1::CompareRunsRequest compare;
  compare.add_run_ids("ours/1");
  EXPECT_TRUE(access_.Authorize(Enter(1), compare).ok());
  compare.add_run_ids("theirs/1");
  EXPECT_TRUE(absl::IsPermissionDenied(access_.Authorize(Enter(1), compare)));
  EXPECT_TRUE(access_.Authorize(Enter(2), compare).ok());
  v1::CreateRunRequest create;
  create.mutable_run()->set_project("ours");
  create.mutable_run()->set_run_id("new");
  EXPECT_TRUE(access_.Authorize(Enter(1), create).ok());
  create.mutable_run()->set_run_id("theirs/1");
  const absl::Status status = access_.Authorize(Enter(1), create);
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("'theirs'")));
}

TEST_F(AccessTest, WhatIsNoRequestOfTheContractIsRefused) {
  access_.SetTokens({Make(1, kAllProjects, Scope::kAdmin)});
  EXPECT_TRUE(absl::IsPermissionDenied(access_.Authorize(Enter(1), v1::Run())));
}

TEST(NamesInTest, NamesAreFoundAtAnyDepth) {
  v1::CompareRunsRequest compare;
  compare.add_run_ids("a");
  compare.add_run_ids("b");
  compare.set_probe("not a run");
  EXPECT_THAT(NamesIn(compare).runs, ElementsAre("a", "b"));
  v1::IngestRequest ingest;
  ingest.mutable_hello()->set_run_id("c");
  EXPECT_THAT(NamesIn(ingest).runs, ElementsAre("c"));
  v1::CreateRunRequest create;
  create.mutable_run()->set_run_id("d");
  create.mutable_run()->set_project("p");
  EXPECT_THAT(NamesIn(create).runs, ElementsAre("d"));
  EXPECT_THAT(NamesIn(create).projects, ElementsAre("p"));
  v1::ListRunsResponse list;
  list.add_runs()->set_project("q");
  EXPECT_THAT(NamesIn(list).projects, ElementsAre("q"));
  EXPECT_THAT(NamesIn(v1::GetServerInfoRequest()).runs, IsEmpty());
}

}  // namespace
}  // namespace dimwatch::server
