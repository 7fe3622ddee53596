#include "server/page_token.h"

#include <gtest/gtest.h>

#include "dimwatch/v1/query.pb.h"
#include "dimwatch/v1/run.pb.h"
#include "server/errors.h"

namespace dimwatch::server {
namespace {

TEST(PageTokenTest, KeyComesBackForTheSameRequestWhateverItsPageSize) {
  v1::ListScalarsRequest request;
  request.set_run_id("a");
  request.set_page_size(3);
  const std::string token = MakePageToken(request, "12 train/loss");
  request.set_page_size(50);
  request.set_page_token(token);
  const absl::StatusOr<std::string> key = ReadPageToken(request, token);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(*key, "12 train/loss");
}

TEST(PageTokenTest, TokenOfAnotherRequestIsRefused) {
  v1::ListScalarsRequest request;
  request.set_run_id("a");
  const std::string token = MakePageToken(request, "12 x");
  v1::ListScalarsRequest other = request;
  other.set_run_id("b");
  EXPECT_EQ(BlamedField(ReadPageToken(other, token).status()), "page_token");
  other = request;
  other.set_min_step(0);
  EXPECT_FALSE(ReadPageToken(other, token).ok());
  v1::ListDecisionsRequest decisions;
  decisions.set_run_id("a");
  EXPECT_FALSE(ReadPageToken(decisions, token).ok());
  for (const std::string bad : {"x", "====", "\xff\xfe", "AAAAAAAAAAAAAAAAAAAAAAAA"}) {
    EXPECT_FALSE(ReadPageToken(request, bad).ok()) << bad;
  }
}

TEST(PageTokenTest, OrderOfLabelsDoesNotMatter) {
  v1::ListRunsRequest one;
  v1::ListRunsRequest two;
  for (int i = 0; i < 20; ++i) {
    (*one.mutable_labels())["k" + std::to_string(i)] = "v";
    (*two.mutable_labels())["k" + std::to_string(19 - i)] = "v";
  }
  EXPECT_TRUE(ReadPageToken(two, MakePageToken(one, "1 a")).ok());
}

TEST(PageTokenTest, PageSizeIsBounded) {
  EXPECT_EQ(*PageSize(0, 50, 1000), 50);
  EXPECT_EQ(*PageSize(7, 50, 1000), 7);
  EXPECT_EQ(*PageSize(1'000'000, 50, 1000), 1000);
  EXPECT_EQ(BlamedField(PageSize(-1, 50, 1000).status()), "page_size");
}

}  // namespace
}  // namespace dimwatch::server
