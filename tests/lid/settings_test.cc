#include "src/lid/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace dimwatch {
namespace {

using ::testing::HasSubstr;

std::string Message(const EstimatorSettings& settings) {
  EXPECT_TRUE(absl::IsInvalidArgument(Validate(settings)));
  return std::string(Validate(settings).message());
}

TEST(EstimatorSettingsTest, DefaultsAndLimitsAreValid) {
  EXPECT_TRUE(Validate(EstimatorSettings()).ok());
  EstimatorSettings settings;
  settings.neighbors = kMaxNeighbors;
  settings.max_points = kMaxCloudPoints;
  settings.queries = kMaxCloudPoints;
  settings.seed = -1;
  EXPECT_TRUE(Validate(settings).ok());
}

TEST(EstimatorSettingsTest, ErrorsNameTheFieldTheValueAndWhatIsAllowed) {
  EstimatorSettings settings;
  settings.neighbors = 3;
  EXPECT_THAT(Message(settings), HasSubstr("neighbors: got 3; 4 to 2048 are allowed"));
  settings = {};
  settings.max_points = 0;
  EXPECT_THAT(Message(settings), HasSubstr("max_points: got 0; 1 to 1000000 are allowed"));
  settings = {};
  settings.queries = -1;
  EXPECT_THAT(Message(settings), HasSubstr("queries: got -1"));
}

TEST(EstimatorSettingsTest, ATargetExcludesWhatItWouldContradict) {
  EstimatorSettings settings;
  settings.target_standard_error = 0.005;
  EXPECT_TRUE(Validate(settings).ok());
  settings.queries = 100;
  EXPECT_THAT(Message(settings), HasSubstr("queries: got 100; only 0 is allowed with"));
  settings.queries = 0;
  settings.index = IndexKind::kHnsw;
  EXPECT_THAT(Message(settings), HasSubstr("index: got hnsw; auto and exact are allowed with"));
  settings = {};
  for (const double bad : {-0.1, 1.0, std::nan("")}) {
    settings.target_standard_error = bad;
    EXPECT_THAT(Message(settings), HasSubstr("target_standard_error: got "));
  }
}

TEST(EstimatorSettingsTest, NamesParseBack) {
  for (const Estimator value : {Estimator::kTwoNn, Estimator::kTwoNnGlobal, Estimator::kMle,
                                Estimator::kMom, Estimator::kGride}) {
    EXPECT_EQ(*ParseEstimator(Name(value)), value);
  }
  for (const Cdf value : {Cdf::kPaper, Cdf::kUpper}) EXPECT_EQ(*ParseCdf(Name(value)), value);
  for (const Fit value : {Fit::kOls, Fit::kMl}) EXPECT_EQ(*ParseFit(Name(value)), value);
  for (const IndexKind value : {IndexKind::kAuto, IndexKind::kExact, IndexKind::kHnsw}) {
    EXPECT_EQ(*ParseIndexKind(Name(value)), value);
  }
  EXPECT_THAT(
      std::string(ParseEstimator("pca\n").status().message()),
      HasSubstr("estimator: got 'pca\\n'; allowed are twonn, twonn-global, mle, mom, gride"));
}

}  // namespace
}  // namespace dimwatch
