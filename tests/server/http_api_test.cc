#include "server/http_api.h"

#include <gmock/gmock.h>

#include "dimwatch/v1/query.pb.h"
#include "dimwatch/v1/run.pb.h"

namespace dimwatch::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(HttpApiTest, PathPartsAreDecodedOneByOne) {
  EXPECT_THAT(*DecodePath("/api/v1/runs/a%2Fb%20c/estimates"),
              ElementsAre("api", "v1", "runs", "a/b c", "estimates"));
  for (const std::string bad : {"/%", "/%2", "/%zz", "/a%2"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DecodePath(bad).status())) << bad;
  }
}

TEST(HttpApiTest, ParametersFillTheFieldsOfTheirNames) {
  v1::ListRunsRequest runs;
  const absl::Status status = FillRequest({{"project", "p"},
                                           {"states", "RUN_STATE_FAILED"},
                                           {"states", "RUN_STATE_STALE"},
                                           {"labels", "team:a:b"},
                                           {"page_size", "7"}},
                                          runs);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(runs.project(), "p");
  EXPECT_THAT(runs.states(), ElementsAre(v1::RUN_STATE_FAILED, v1::RUN_STATE_STALE));
  EXPECT_EQ(runs.labels().at("team"), "a:b");
  EXPECT_EQ(runs.page_size(), 7);
  v1::ListEstimatesRequest estimates;
  ASSERT_TRUE(FillRequest({{"min_step", "0"}}, estimates).ok());
  EXPECT_TRUE(estimates.has_min_step());
  EXPECT_FALSE(estimates.has_max_step());
}

TEST(HttpApiTest, BadParametersAreRefusedByName) {
  v1::ListRunsRequest runs;
  EXPECT_THAT(FillRequest({{"no_such", "1"}}, runs).ToString(), HasSubstr("no_such"));
  EXPECT_FALSE(FillRequest({{"page_size", "x"}}, runs).ok());
  EXPECT_FALSE(FillRequest({{"page_size", "99999999999"}}, runs).ok());
  EXPECT_FALSE(FillRequest({{"states", "NONSENSE"}}, runs).ok());
  EXPECT_FALSE(FillRequest({{"labels", "novalue"}}, runs).ok());
  EXPECT_THAT(FillRequest({{"project", "a"}, {"project", "b"}}, runs).ToString(),
              HasSubstr("project"));
  EXPECT_FALSE(FillRequest({{"\xff", "a"}}, runs).ok());
}

TEST(HttpApiTest, ThereAreFewRoutesWhateverIsAskedFor) {
  for (const std::string path : {"/", "/metrics", "/healthz", "/readyz", "/api/v1/runs",
                                 "/api/v1/compare", "/api/v1/server"}) {
    EXPECT_EQ(RouteOf(path), path);
  }
  EXPECT_EQ(RouteOf("/api/v1/runs/a%2Fb"), "/api/v1/runs/{id}");
  EXPECT_EQ(RouteOf("/api/v1/runs/a/layers"), "/api/v1/runs/{id}/layers");
  for (const std::string path :
       {"", "x", "/api/v1/runs/", "/api/v1/runs/a/b", "/api/v1/runs/a/layers/c", "/api/v1/run"}) {
    EXPECT_EQ(RouteOf(path), "other") << path;
  }
}

TEST(HttpApiTest, ErrorsAreJsonWithTheMatchingStatus) {
  const HttpReply reply = ErrorReply(absl::NotFoundError("run \"x\"\n\xff"));
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.type, "application/json");
  EXPECT_EQ(reply.body, "{\"code\":\"NOT_FOUND\",\"message\":\"run \\\"x\\\"\\n\xEF\xBF\xBD\"}\n");
  EXPECT_EQ(ErrorReply(absl::ResourceExhaustedError("")).status, 429);
  EXPECT_EQ(ErrorReply(absl::DataLossError("")).status, 500);
}

}  // namespace
}  // namespace dimwatch::server
