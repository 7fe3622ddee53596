#include "server/layer_profile.h"

#include <gmock/gmock.h>

#include "src/store/sqlite_store.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LayerProfileTest : public ::testing::Test {
 protected:
  LayerProfileTest() {
    for (const char* const probe :
         {"train/layer.10", "train/layer.2", "train/layer.1", "validation/layer.2", "odd"}) {
      ProbeSettings settings;
      settings.identity.name = probe;
      view_.run.probes.push_back(ResolveDefaults(settings));
    }
    view_.run.run_id = "r";
  }

  void Estimated(const std::string& probe, std::int64_t step, double mean) {
    EstimateRecord record;
    record.cursor = view_.run.next_cursor++;
    record.probe = probe;
    record.step = Step{step};
    record.estimate.mean = mean;
    record.estimate.standard_error = 0.1;
    RunChanges changes;
    changes.estimates = {record};
    changes.run = view_.run;
    ASSERT_TRUE(store_->Commit(changes).ok());
    view_.latest_estimates.push_back(record);
  }

  v1::GetLayerProfileResponse Profile(const v1::GetLayerProfileRequest& request) {
    v1::GetLayerProfileResponse response;
    const absl::Status status = FillLayerProfile(view_, *store_, request, response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }

  static std::vector<std::string> Layers(const v1::GetLayerProfileResponse& profile) {
    std::vector<std::string> layers;
    for (const v1::LayerEstimate& layer : profile.layers()) layers.push_back(layer.layer());
    return layers;
  }

  ::dimwatch::testing::TempFolder folder_;
  std::unique_ptr<SqliteStore> store_ = *SqliteStore::Open(folder_.path() / "store.db");
  RunView view_;
};

TEST_F(LayerProfileTest, LayersOfTheNewestStepComeInTheirOrder) {
  for (const char* const probe : {"train/layer.10", "train/layer.2", "train/layer.1"}) {
    Estimated(probe, 10, 5);
    Estimated(probe, 20, 6);
  }
  Estimated("validation/layer.2", 30, 7);
  const v1::GetLayerProfileResponse profile = Profile({});
  EXPECT_EQ(profile.split(), v1::SPLIT_TRAIN);
  EXPECT_EQ(profile.step(), 20);
  EXPECT_THAT(Layers(profile), ElementsAre("layer.1", "layer.2", "layer.10"));
  EXPECT_EQ(profile.layers(2).estimate().probe(), "train/layer.10");
  EXPECT_EQ(profile.layers(2).estimate().mean(), 6);
  EXPECT_EQ(profile.layers(2).estimate().standard_error(), 0.1);
  EXPECT_THAT(profile.missing_probes(), IsEmpty());
}

TEST_F(LayerProfileTest, ProbesOfAttentionMapsAreNotAmongThem) {
  ProbeSettings attention;
  attention.identity.name = "train/layer.3";
  attention.attention = AttentionSettings();
  view_.run.probes.push_back(ResolveDefaults(attention));
  Estimated("train/layer.1", 10, 5);
  const v1::GetLayerProfileResponse profile = Profile({});
  EXPECT_THAT(Layers(profile), ElementsAre("layer.1"));
  EXPECT_THAT(profile.missing_probes(), ElementsAre("train/layer.2", "train/layer.10"));
}

TEST_F(LayerProfileTest, AnotherSplitAndStepMayBeAskedFor) {
  Estimated("validation/layer.2", 10, 5);
  Estimated("validation/layer.2", 20, 6);
  v1::GetLayerProfileRequest request;
  request.set_split(v1::SPLIT_VALIDATION);
  request.set_step(10);
  const v1::GetLayerProfileResponse profile = Profile(request);
  EXPECT_EQ(profile.split(), v1::SPLIT_VALIDATION);
  EXPECT_EQ(profile.step(), 10);
  ASSERT_EQ(profile.layers_size(), 1);
  EXPECT_EQ(profile.layers(0).estimate().mean(), 5);
}

TEST_F(LayerProfileTest, ProbesWithoutAnEstimateAtTheStepAreNamed) {
  Estimated("train/layer.2", 10, 5);
  Estimated("train/layer.10", 20, 5);
  const v1::GetLayerProfileResponse profile = Profile({});
  EXPECT_EQ(profile.step(), 20);
  EXPECT_THAT(Layers(profile), ElementsAre("layer.10"));
  EXPECT_THAT(profile.missing_probes(), ElementsAre("train/layer.1", "train/layer.2"));
}

TEST_F(LayerProfileTest, WithoutAnyEstimateThereIsNoStep) {
  const v1::GetLayerProfileResponse profile = Profile({});
  EXPECT_FALSE(profile.has_step());
  EXPECT_THAT(profile.layers(), IsEmpty());
  EXPECT_EQ(profile.missing_probes_size(), 3);
}

TEST_F(LayerProfileTest, AnUnknownSplitIsRefused) {
  v1::GetLayerProfileRequest request;
  request.set_split(static_cast<v1::Split>(9));
  v1::GetLayerProfileResponse response;
  const absl::Status status = FillLayerProfile(view_, *store_, request, response);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(status.ToString(), HasSubstr("9"));
}

}  // namespace
}  // namespace dimwatch::server
