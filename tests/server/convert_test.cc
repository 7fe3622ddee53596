#include "server/convert.h"

#include <gmock/gmock.h>

#include <limits>

#include "server/errors.h"

namespace dimwatch::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::Run MinimalRun() {
  v1::Run run;
  run.set_run_id("team/a");
  run.set_project("tests");
  return run;
}

TEST(ConvertTest, ZeroesBecomeTheDocumentedDefaults) {
  v1::Run run = MinimalRun();
  run.mutable_config()->add_probes()->set_probe("val/layer.11");
  const absl::StatusOr<RunRecord> record = FromProto(run);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->display_name, "team/a");
  EXPECT_EQ(record->signals, SignalSettings());
  EXPECT_EQ(record->policy, PolicySettings());
  const ProbeSettings& probe = record->probes[0];
  EXPECT_EQ(probe.identity.split, Split::kValidation);
  EXPECT_EQ(probe.identity.layer, "layer.11");
  EXPECT_EQ(probe.estimator, EstimatorSettings());
}

TEST(ConvertTest, ConfigurationThatComesBackMeansTheSame) {
  v1::Run run = MinimalRun();
  v1::ProbeConfig* probe = run.mutable_config()->add_probes();
  probe->set_probe("train/x");
  probe->set_window(v1::WINDOW_KIND_ROLLING);
  probe->set_window_points(500);
  probe->mutable_estimator()->set_estimator(v1::ESTIMATOR_MLE);
  probe->mutable_estimator()->set_cdf(v1::CDF_UPPER);
  probe->mutable_estimator()->set_fit(v1::FIT_ML);
  probe->mutable_estimator()->set_index(v1::INDEX_KIND_EXACT);
  probe->mutable_estimator()->set_seed(-7);
  probe->mutable_estimator()->set_target_standard_error(0.01);
  run.mutable_config()->mutable_policy()->add_stop_on("none");
  run.mutable_config()->mutable_policy()->set_mode(v1::POLICY_MODE_SHADOW);
  run.mutable_config()->mutable_signals()->set_patience(9);
  const absl::StatusOr<RunRecord> first = FromProto(run);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->policy.stop_on, IsEmpty());
  *run.mutable_config() = ConfigToProto(*first);
  EXPECT_EQ(run.config().probes(0).estimate_every(), 125);
  const absl::StatusOr<RunRecord> second = FromProto(run);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->probes, first->probes);
  EXPECT_EQ(second->signals, first->signals);
  EXPECT_EQ(second->policy, first->policy);
}

TEST(ConvertTest, SplitThatIsGivenIsNotReadFromTheName) {
  v1::ProbeConfig config;
  config.set_probe("train/x");
  config.set_split(v1::SPLIT_OTHER);
  EXPECT_EQ(FromProto(config)->identity.split, Split::kOther);
}

TEST(ConvertTest, UnknownEnumValuesNameTheFieldAndTheValue) {
  const auto error = [](const std::string& field) {
    v1::ProbeConfig config;
    config.set_probe("p");
    google::protobuf::Message* holder = &config;
    if (field != "split" && field != "window") holder = config.mutable_estimator();
    holder->GetReflection()->SetEnumValue(holder, holder->GetDescriptor()->FindFieldByName(field),
                                          99);
    return FromProto(config).status();
  };
  for (const std::string field : {"split", "window", "estimator", "cdf", "fit", "index"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(error(field))) << field;
    EXPECT_THAT(BlamedField(error(field)), HasSubstr(field));
    EXPECT_THAT(MessageOf(error(field)), HasSubstr("99"));
  }
}

TEST(ConvertTest, LabelsFollowTheContract) {
  EXPECT_TRUE(ValidateLabels({{"team_1", "é"}, {"_x", ""}}).ok());
  EXPECT_FALSE(ValidateLabels({{"", "v"}}).ok());
  EXPECT_FALSE(ValidateLabels({{"1a", "v"}}).ok());
  EXPECT_FALSE(ValidateLabels({{"a-b", "v"}}).ok());
  EXPECT_FALSE(ValidateLabels({{std::string(65, 'a'), "v"}}).ok());
  EXPECT_FALSE(ValidateLabels({{"a", "line\nbreak"}}).ok());
  EXPECT_FALSE(ValidateLabels({{"a", std::string(257, 'a')}}).ok());
  std::map<std::string, std::string> many;
  for (int i = 0; i < 33; ++i) many["l" + std::to_string(i)] = "v";
  EXPECT_FALSE(ValidateLabels(many).ok());
}

TEST(ConvertTest, HyperparametersAreAnObjectOfBoundedSize) {
  v1::Run run = MinimalRun();
  run.set_hyperparameters_json(" {\"lr\": [1e-3, {}]}\n");
  EXPECT_TRUE(FromProto(run).ok());
  for (const std::string bad : {"[]", "1", "{", "{\"a\":1} x", "  "}) {
    run.set_hyperparameters_json(bad);
    EXPECT_EQ(BlamedField(FromProto(run).status()), "hyperparameters_json") << bad;
  }
  run.set_hyperparameters_json("{\"a\":\"" + std::string(70'000, 'x') + "\"}");
  EXPECT_THAT(MessageOf(FromProto(run).status()), HasSubstr("65536"));
}

TEST(ConvertTest, SamplesKeepTheirBytes) {
  v1::IngestRequest request;
  v1::SampleBatch* batch = request.mutable_samples();
  batch->set_seq(4);
  batch->set_probe("p");
  batch->set_step(7);
  batch->set_dtype(v1::DTYPE_BF16);
  batch->set_rows(1);
  batch->set_dim(2);
  batch->set_data("abcd");
  batch->add_sample_ids(11);
  batch->set_snapshot_end(true);
  batch->set_dropped_rows(3);
  EXPECT_EQ(SeqOf(request), 4);
  EXPECT_EQ(RowsOf(request), 1);
  const absl::StatusOr<ConvertedItem> item = FromProto(std::move(request));
  ASSERT_TRUE(item.ok());
  const auto& sample = std::get<SampleItem>(item->item);
  EXPECT_EQ(sample.dtype, DType::kBF16);
  EXPECT_EQ(sample.data, "abcd");
  EXPECT_THAT(sample.sample_ids, ElementsAre(11));
  EXPECT_TRUE(sample.snapshot_end);
  EXPECT_EQ(sample.dropped_rows, 3);
}

TEST(ConvertTest, AProbeOfAttentionMapsComesBackWithItsDefaults) {
  v1::Run run = MinimalRun();
  v1::ProbeConfig* probe = run.mutable_config()->add_probes();
  probe->set_probe("train/last");
  probe->mutable_attention()->set_relative(true);
  const absl::StatusOr<RunRecord> first = FromProto(run);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->probes[0].attention, (AttentionSettings{.epsilon = 0.1, .relative = true}));
  *run.mutable_config() = ConfigToProto(*first);
  EXPECT_EQ(run.config().probes(0).attention().epsilon(), 0.1);
  EXPECT_EQ(FromProto(run)->probes, first->probes);
  run.mutable_config()->mutable_probes(0)->mutable_attention()->set_epsilon(1);
  EXPECT_TRUE(absl::IsInvalidArgument(FromProto(run).status()));
}

TEST(ConvertTest, AttentionKeepsWhatItHolds) {
  v1::IngestRequest request;
  v1::AttentionBatch* batch = request.mutable_attention();
  batch->set_seq(4);
  batch->set_probe("p");
  batch->set_step(7);
  batch->set_dtype(v1::DTYPE_F16);
  batch->set_prompts(1);
  batch->set_heads(2);
  batch->set_positions(3);
  batch->set_data("abcdefghijkl");
  batch->add_prompt_ids(11);
  batch->add_first_positions(1);
  batch->add_query_positions(2);
  batch->set_dropped_prompts(5);
  batch->set_snapshot_end(true);
  EXPECT_EQ(SeqOf(request), 4);
  EXPECT_EQ(RowsOf(request), 1);
  absl::StatusOr<ConvertedItem> converted = FromProto(v1::IngestRequest(request));
  ASSERT_TRUE(converted.ok());
  const auto& item = std::get<AttentionItem>(converted->item);
  EXPECT_EQ(item.step, Step{7});
  EXPECT_EQ(item.dtype, DType::kF16);
  EXPECT_EQ(item.prompts + 10 * item.heads + 100 * item.positions, 321);
  EXPECT_EQ(item.data, "abcdefghijkl");
  EXPECT_THAT(item.prompt_ids, ElementsAre(11));
  EXPECT_THAT(item.first_positions, ElementsAre(1));
  EXPECT_THAT(item.query_positions, ElementsAre(2));
  EXPECT_EQ(item.dropped_prompts, 5);
  EXPECT_TRUE(item.snapshot_end);
  batch->clear_dtype();
  EXPECT_TRUE(absl::IsInvalidArgument(FromProto(v1::IngestRequest(request)).status()));
  batch->clear_data();
  batch->add_dimensions(6);
  batch->set_invalid_prompts(2);
  converted = FromProto(std::move(request));
  ASSERT_TRUE(converted.ok());
  EXPECT_THAT(std::get<AttentionItem>(converted->item).dimensions, ElementsAre(6));
  EXPECT_EQ(std::get<AttentionItem>(converted->item).invalid_prompts, 2);
}

TEST(ConvertTest, AnAttentionEstimateSaysHowItWasCountedAndSinceWhen) {
  AttentionRecord record;
  record.step = Step{20};
  record.estimate.settings = {.epsilon = 0.2, .relative = true, .heads = 8};
  record.estimate.mean = 3;
  v1::AttentionEstimate estimate = ToProto(record);
  EXPECT_EQ(estimate.config().epsilon(), 0.2);
  EXPECT_TRUE(estimate.config().relative());
  EXPECT_EQ(estimate.config().heads(), 8);
  EXPECT_FALSE(estimate.has_standard_error() || estimate.has_baseline_step());
  record.baseline_step = Step{0};
  record.baseline_change = AttentionChange{.mean = -0.5, .standard_error = 0.25, .prompts = 9};
  estimate = ToProto(record);
  EXPECT_TRUE(estimate.has_baseline_step());
  EXPECT_EQ(estimate.baseline_change(), -0.5);
  EXPECT_EQ(estimate.baseline_change_standard_error(), 0.25);
  EXPECT_EQ(estimate.baseline_prompts(), 9);
}

TEST(ConvertTest, ScalarsThatAreNotFiniteAreLeftOutByName) {
  v1::IngestRequest request;
  auto& values = *request.mutable_scalars()->mutable_values();
  values["good"] = 1;
  values["bad"] = std::numeric_limits<double>::infinity();
  const absl::StatusOr<ConvertedItem> some = FromProto(v1::IngestRequest(request));
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(std::get<ScalarItem>(some->item).values.size(), 1);
  EXPECT_THAT(some->left_out, HasSubstr("'bad'"));
  values.erase("good");
  EXPECT_TRUE(absl::IsInvalidArgument(FromProto(std::move(request)).status()));
}

TEST(ConvertTest, UndefinedNumbersStayAbsent) {
  EstimateRecord record;
  record.complete = false;
  record.incomplete_reason = "too few";
  const v1::Estimate estimate = ToProto(record);
  EXPECT_FALSE(estimate.has_mean());
  EXPECT_FALSE(estimate.has_standard_error());
  EXPECT_FALSE(estimate.has_rolling_mean());
  EXPECT_FALSE(estimate.has_paired_change());
  EXPECT_EQ(estimate.incomplete_reason(), "too few");
}

TEST(ConvertTest, TimesKeepTheirNanoseconds) {
  const google::protobuf::Timestamp time = ToProto(absl::FromUnixNanos(1'700'000'000'123'456'789));
  EXPECT_EQ(time.seconds(), 1'700'000'000);
  EXPECT_EQ(time.nanos(), 123'456'789);
}

TEST(ConvertTest, ShadowedStopIsContinueForTheJobOnly) {
  Decision decision;
  decision.verdict = Verdict::kStop;
  decision.best_step = Step{5};
  decision.reason = "because";
  EXPECT_EQ(ForJob(decision), decision);
  decision.mode = PolicyMode::kShadow;
  const Decision told = ForJob(decision);
  EXPECT_EQ(told.verdict, Verdict::kContinue);
  EXPECT_FALSE(told.best_step);
  EXPECT_THAT(told.reason, HasSubstr("because"));
}

}  // namespace
}  // namespace dimwatch::server
