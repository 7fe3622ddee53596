// What tests of admission have in common.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "src/monitor/admission.h"

namespace dimwatch::testing {

class AdmissionFixture : public ::testing::Test {
 protected:
  explicit AdmissionFixture(RunAdmission admission) : admission_(std::move(admission)) {}

  void Take(const IngestItem& item) {
    const RunAdmission::Rejection rejection = admission_.Check(item);
    ASSERT_TRUE(rejection.status.ok()) << rejection.status;
    ASSERT_FALSE(rejection.known);
    admission_.Note(item);
  }

  void ExpectRejected(const IngestItem& item, absl::StatusCode code, const std::string& field,
                      const std::string& message) {
    const RunAdmission::Rejection rejection = admission_.Check(item);
    EXPECT_EQ(rejection.status.code(), code) << rejection.status;
    EXPECT_EQ(rejection.field, field);
    EXPECT_THAT(std::string(rejection.status.message()), ::testing::HasSubstr(message));
  }

  RunAdmission admission_;
};

}  // namespace dimwatch::testing
