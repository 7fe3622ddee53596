#include "server/errors.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "src/base/quota_error.h"

namespace dimwatch::server {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), status.error_code());
  EXPECT_EQ(details.message(), status.error_message());
  return details;
}

TEST(ErrorsTest, InvalidArgumentCarriesTheWholePathOfTheField) {
  const absl::Status inner = InvalidField("cdf", "unknown value 9");
  const grpc::Status status = ToGrpcStatus(Blame("run", Blame("config.probes[0]", inner)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "run.config.probes[0].cdf: unknown value 9");
  google::rpc::BadRequest bad;
  ASSERT_TRUE(DetailsOf(status).details(0).UnpackTo(&bad));
  EXPECT_EQ(bad.field_violations(0).field(), "run.config.probes[0].cdf");
}

TEST(ErrorsTest, BlamingAnOkStatusChangesNothing) {
  EXPECT_TRUE(Blame("a", absl::OkStatus()).ok());
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

TEST(ErrorsTest, ResourceExhaustedNamesTheQuotaAndWhenToTryAgain) {
  const grpc::Status status =
      ToGrpcStatus(QuotaExceeded("max_runs", "3 are there", absl::Milliseconds(1500)));
  const google::rpc::Status details = DetailsOf(status);
  google::rpc::QuotaFailure quota;
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(0).UnpackTo(&quota));
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(quota.violations(0).subject(), "max_runs");
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(DetailsOf(ToGrpcStatus(QuotaExceeded("max_batch_bytes", "too many"))).details_size(), 1)
      << "trying again changes nothing";
}

TEST(ErrorsTest, OtherCodesPassWithTheirMessageAsValidUtf8) {
  const grpc::Status status = ToGrpcStatus(absl::NotFoundError("run '\xff'"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "run '\xEF\xBF\xBD'");
  EXPECT_TRUE(status.error_details().empty());
}

}  // namespace
}  // namespace dimwatch::server
