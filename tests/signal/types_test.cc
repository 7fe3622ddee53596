#include "src/signal/types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace dimwatch {
namespace {

using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(SignalTypesTest, NamesAreReadBack) {
  for (int i = 0; i <= static_cast<int>(SignalKind::kStalled); ++i) {
    const auto kind = static_cast<SignalKind>(i);
    EXPECT_EQ(ParseSignalKind(Name(kind)), kind);
  }
  EXPECT_EQ(ParseSignalKind("Overfitting"), std::nullopt);
  EXPECT_EQ(Name(SignalState::kResolved), "RESOLVED");
  EXPECT_EQ(Name(Verdict::kStop), "STOP");
  EXPECT_EQ(Name(PolicyMode::kShadow), "shadow");
}

TEST(SignalTypesTest, DefaultsAreValid) {
  EXPECT_TRUE(Validate(SignalSettings()).ok());
  EXPECT_TRUE(Validate(PolicySettings()).ok());
}

TEST(SignalTypesTest, WrongSettingsAreNamedWithTheirValue) {
  const auto message = [](const std::function<void(SignalSettings&)>& change) {
    SignalSettings settings;
    change(settings);
    return Message(Validate(settings));
  };
  EXPECT_EQ(message([](SignalSettings& s) { s.patience = 0; }),
            "patience: 1 to 10000 expected, got 0");
  EXPECT_EQ(message([](SignalSettings& s) { s.warmup = -1; }),
            "warmup: 0 to 10000 expected, got -1");
  EXPECT_EQ(message([](SignalSettings& s) { s.cooldown = 10'001; }),
            "cooldown: 0 to 10000 expected, got 10001");
  EXPECT_THAT(message([](SignalSettings& s) { s.min_delta = NAN; }), HasSubstr("min_delta"));
  EXPECT_THAT(message([](SignalSettings& s) { s.z_score = -3; }), HasSubstr("got -3"));
  EXPECT_THAT(message([](SignalSettings& s) { s.heartbeat_seconds = 0; }), HasSubstr("above 0"));
  EXPECT_THAT(message([](SignalSettings& s) { s.collapse_ratio = 1.5; }), HasSubstr("at most 1"));
  EXPECT_THAT(message([](SignalSettings& s) { s.collapse_lid = -1; }), HasSubstr("collapse_lid"));
}

TEST(SignalTypesTest, WrongPoliciesAreNamedWithTheirValue) {
  PolicySettings policy;
  policy.stop_on = {SignalKind::kStalled};
  EXPECT_THAT(Message(Validate(policy)), HasSubstr("stalled"));
  policy.stop_on = {SignalKind::kCollapsed, SignalKind::kCollapsed};
  EXPECT_THAT(Message(Validate(policy)), HasSubstr("\"collapsed\" twice"));
  policy = PolicySettings();
  policy.min_probes = 0;
  EXPECT_THAT(Message(Validate(policy)), HasSubstr("min_probes: 1 to"));
  policy = PolicySettings();
  policy.warmup_step = Step{-1};
  EXPECT_THAT(Message(Validate(policy)), HasSubstr("warmup_step: 0 or greater expected, got -1"));
}

}  // namespace
}  // namespace dimwatch
