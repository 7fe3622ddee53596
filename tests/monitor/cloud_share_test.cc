// What a cloud beside the runs may use.
#include "src/monitor/cloud_share.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/quota_error.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

constexpr std::int64_t kMemory = 1000;
constexpr double kPerMinute = 6000;
const EstimateWork kWork = {.queries = 30, .per_query = 300};  // a minute and a half

class CloudShareTest : public ::testing::Test {
 protected:
  CloudShareTest() { server_->SetQuotas({{}, {{"small", {.compute_per_minute = kPerMinute}}}}); }
  std::unique_ptr<CloudShare> Open(const std::string& project) {
    return std::make_unique<CloudShare>(server_, project, kMemory, clock_);
  }

  testing::ManualClock clock_;
  std::shared_ptr<ServerUsage> server_ = std::make_shared<ServerUsage>();
};

TEST_F(CloudShareTest, CloudsAndWindowsShareTheMemory) {
  UsageShare run(server_, "run's");
  run.Set(Resource::kWindowBytes, 500);
  const auto cloud = Open("a");
  EXPECT_TRUE(cloud->Hold(300).ok());
  EXPECT_TRUE(cloud->Hold(200).ok());
  const absl::Status refused = Open("b")->Hold(1);
  EXPECT_EQ(QuotaOf(refused), "max_memory_bytes") << refused;
  EXPECT_TRUE(RetryOf(refused));
  EXPECT_EQ(server_->Of("b")->refusals().at("max_memory_bytes"), 1);
  EXPECT_EQ(server_->Of("a")->of(Resource::kCloudBytes), 500);
}

TEST_F(CloudShareTest, WhatACloudHeldIsGivenBack) {
  EXPECT_TRUE(Open("a")->Hold(kMemory).ok());
  EXPECT_EQ(server_->of(Resource::kCloudBytes), 0);
  EXPECT_TRUE(Open("a")->Hold(kMemory).ok());
}

TEST_F(CloudShareTest, AProjectThatOwesComputeHasToWaitUntilItIsPaid) {
  EXPECT_TRUE(Open("small")->Take(kWork).ok());
  const absl::Status refused = Open("small")->Take(kWork);
  EXPECT_EQ(QuotaOf(refused), "compute_per_minute") << refused;
  EXPECT_EQ(RetryOf(refused), absl::Seconds(30));
  clock_.Advance(absl::Seconds(31));
  EXPECT_TRUE(Open("small")->Take(kWork).ok());
}

TEST_F(CloudShareTest, WhatAProjectOwesIsNotForgotten) {
  const absl::Duration linger = absl::Seconds(5);
  const auto projects = [&] {
    server_->ForgetUnused(clock_.Monotonic(), linger);
    int count = 0;
    server_->Visit([&](const std::string&, const ProjectUsage&) { ++count; });
    return count;
  };
  EXPECT_TRUE(Open("small")->Take(kWork).ok());
  EXPECT_EQ(projects(), 1);
  clock_.Advance(2 * linger);
  EXPECT_EQ(projects(), 1);
  EXPECT_EQ(QuotaOf(Open("small")->Take(kWork)), "compute_per_minute");
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(projects(), 1) << "paid, and not yet unused for long";
  clock_.Advance(2 * linger);
  EXPECT_EQ(projects(), 0);
}

TEST_F(CloudShareTest, WithoutAQuotaComputeIsFree) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Open("a")->Take(kWork).ok());
}

}  // namespace
}  // namespace dimwatch
