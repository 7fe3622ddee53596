#include "src/window/settings.h"

#include <gmock/gmock.h>

namespace dimwatch {
namespace {

using ::testing::HasSubstr;

ProbeSettings Named(const std::string& name) {
  ProbeSettings settings;
  settings.identity.name = name;
  return settings;
}

ProbeSettings Rolling(std::int64_t points, std::int64_t every) {
  ProbeSettings settings = Named("train/a");
  settings.window = WindowKind::kRolling;
  settings.window_points = points;
  settings.estimate_every = every;
  return ResolveDefaults(settings);
}

TEST(ProbeSettingsTest, ReadsSplitAndLayerFromTheName) {
  const auto identity = [](const std::string& name) {
    return ResolveDefaults(Named(name)).identity;
  };
  EXPECT_EQ(identity("train/layer.11"),
            (ProbeIdentity{"train/layer.11", Split::kTrain, "layer.11"}));
  EXPECT_EQ(identity("validation/a/b"),
            (ProbeIdentity{"validation/a/b", Split::kValidation, "a/b"}));
  EXPECT_EQ(identity("val/x").split, Split::kValidation);
  EXPECT_EQ(identity("test/x").split, Split::kValidation);
  EXPECT_EQ(identity("trainer/x").split, Split::kOther);
  EXPECT_EQ(identity("plain"), (ProbeIdentity{"plain", Split::kOther, "plain"}));
}

TEST(ProbeSettingsTest, KeepsWhatTheCallerSaid) {
  ProbeSettings settings = Named("train/a");
  settings.identity.split = Split::kValidation;
  settings.identity.layer = "b";
  EXPECT_EQ(ResolveDefaults(settings), settings);
}

TEST(ProbeSettingsTest, ARollingWindowDefaultsToMaxPointsAndAQuarter) {
  const ProbeSettings settings = Rolling(0, 0);
  EXPECT_EQ(settings.window_points, 10'000);
  EXPECT_EQ(settings.estimate_every, 2'500);
  EXPECT_TRUE(Validate(settings).ok());
}

TEST(ProbeSettingsTest, EveryWrongFieldIsNamedWithItsValueAndWhatIsAllowed) {
  EXPECT_THAT(Validate(ResolveDefaults(Named("a\nb"))).message(), HasSubstr("probe"));
  ProbeSettings settings = ResolveDefaults(Named("train/a"));
  settings.dim = kMaxDim + 1;
  EXPECT_THAT(Validate(settings).message(), HasSubstr("dim 65537 got; allowed are 1 to 65536"));
  settings = ResolveDefaults(Named("train/a"));
  settings.window_points = 5;
  EXPECT_THAT(Validate(settings).message(), HasSubstr("window_points 5 given, but a SNAPSHOT"));
  settings = ResolveDefaults(Named("train/a"));
  settings.estimator.neighbors = 1;
  EXPECT_THAT(Validate(settings).message(), HasSubstr("neighbors"));
  EXPECT_THAT(Validate(Rolling(128, 10)).message(),
              HasSubstr("window_points 128 got; allowed are more than neighbors (128)"));
  EXPECT_THAT(Validate(Rolling(1000, 1001)).message(), HasSubstr("estimate_every 1001 got"));
  settings = Rolling(1000, 100);
  settings.aligned = true;
  EXPECT_THAT(Validate(settings).message(), HasSubstr("aligned rows need a SNAPSHOT window"));
  for (const ProbeSettings& wrong : {settings, Rolling(128, 10), Rolling(1000, 1001)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Validate(wrong)));
  }
}

TEST(ProbeSettingsTest, AProbeOfAttentionMapsHasNoWindowAndNoEstimator) {
  ProbeSettings settings;
  settings.identity.name = "train/maps";
  settings.attention = AttentionSettings();
  settings = ResolveDefaults(settings);
  EXPECT_TRUE(Validate(settings).ok()) << Validate(settings);
  settings.estimator.neighbors = 64;
  EXPECT_THAT(std::string(Validate(settings).message()),
              ::testing::HasSubstr("a probe of attention maps has none"));
  settings.estimator = {};
  settings.attention->epsilon = 1;
  EXPECT_EQ(Validate(settings).message(),
            "probe 'train/maps': attention: epsilon 1 got; allowed is above 0 and below 1");
}

}  // namespace
}  // namespace dimwatch
