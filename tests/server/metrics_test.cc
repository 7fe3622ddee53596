#include "server/metrics.h"

#include <gmock/gmock.h>

#include <limits>
#include <set>
#include <sstream>

namespace dimwatch::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string TextOf(const MonitorSnapshot& snapshot) { return SeriesOf(snapshot, 1000).text; }

RunView ViewOf(const std::string& run_id) {
  RunView view;
  view.run.run_id = run_id;
  view.run.project = "p";
  view.run.display_name = run_id;
  EstimateRecord record;
  record.probe = "train/x";
  record.step = Step{7};
  record.estimate.mean = 3.5;
  record.estimate.rows = 10;
  record.estimate.duplicate_rows = 4;
  record.create_time = absl::FromUnixMillis(1'500);
  view.latest_estimates.push_back(record);
  return view;
}

// With a profile of an earlier step.
RunView ProfiledViewOf(const std::string& run_id) {
  RunView view = ViewOf(run_id);
  EstimateRecord record = view.latest_estimates[0];
  record.step = Step{5};
  record.scale_profile.emplace().gride = {{.neighbors = 2,
                                           .parts = 1,
                                           .points = 9,
                                           .distance = 0.5,
                                           .dimension = 4.25,
                                           .standard_error = 0.125},
                                          {.neighbors = 4,
                                           .parts = 1,
                                           .points = 9,
                                           .distance = 2,
                                           .dimension = {},
                                           .standard_error = {}}};
  view.latest_profiles.push_back(record);
  return view;
}

MonitorSnapshot SnapshotOf(std::vector<RunView> views) {
  MonitorSnapshot snapshot;
  for (RunView& view : views) {
    snapshot.runs.push_back(std::make_shared<const RunView>(std::move(view)));
  }
  return snapshot;
}

TEST(MetricsTest, TheNewestScaleProfileIsShownWithItsStep) {
  const std::string text = TextOf(SnapshotOf({ProfiledViewOf("r")}));
  const std::string labels = R"({project="p",run="r",probe="train/x",scale="1"})";
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_scale" + labels + " 4.25\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_scale_standard_error" + labels + " 0.125\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_scale_distance" + labels + " 0.5\n"));
  EXPECT_THAT(text, HasSubstr(R"(dimwatch_lid_scale_step{project="p",run="r",probe="train/x"} 5)"));
  EXPECT_THAT(text, HasSubstr(R"(scale="2"} 2)"));
  EXPECT_THAT(
      text, Not(HasSubstr(R"(dimwatch_lid_scale{project="p",run="r",probe="train/x",scale="2"})")));
}

TEST(MetricsTest, HarmonicMeanAndNearDuplicatesAreShownWhereTheyAre) {
  RunView view = ViewOf("r");
  EXPECT_THAT(TextOf(SnapshotOf({view})), Not(HasSubstr("dimwatch_lid_harmonic_mean{")));
  CloudEstimate& estimate = view.latest_estimates[0].estimate;
  estimate.harmonic_mean = 3.25;
  estimate.harmonic_mean_standard_error = 0.5;
  estimate.queries = 8;
  estimate.near_duplicates = 2;
  const std::string text = TextOf(SnapshotOf({view}));
  const std::string labels = R"({project="p",run="r",probe="train/x"})";
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_harmonic_mean" + labels + " 3.25\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_harmonic_mean_standard_error" + labels + " 0.5\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_near_duplicate_ratio" + labels + " 0.25\n"));
}

TEST(MetricsTest, AttentionIsShownWithItsErrorAndHowItWasCounted) {
  RunView view = ViewOf("r");
  AttentionRecord record;
  record.probe = "train/maps";
  record.step = Step{7};
  record.estimate.settings = {.epsilon = 0.1, .relative = false, .heads = 4};
  record.estimate.mean = 6.5;
  record.estimate.prompts = 1;
  view.latest_attention.push_back(record);
  const std::string labels = R"({project="p",run="r",probe="train/maps")";
  std::string text = TextOf(SnapshotOf({view}));
  EXPECT_THAT(text, Not(HasSubstr("dimwatch_attention_dimension_mean{")));
  EXPECT_THAT(text, HasSubstr("dimwatch_attention_dimension_prompts" + labels + "} 1\n"));
  AttentionRecord& shown = view.latest_attention[0];
  shown.estimate.standard_error = 0.25;
  shown.estimate.quantiles = {{0.5, 6}};
  shown.estimate.prompts = 10;
  shown.estimate.invalid = 2;
  shown.baseline_step = Step{0};
  shown.baseline_change = AttentionChange{.mean = -1, .standard_error = 0.125, .prompts = 9};
  text = TextOf(SnapshotOf({view}));
  for (const std::string& line :
       {"mean" + labels + "} 6.5", "standard_error" + labels + "} 0.25",
        "quantile" + labels + R"(,quantile="0.5"} 6)", "invalid_prompts" + labels + "} 2",
        "change" + labels + "} -1", "change_standard_error" + labels + "} 0.125",
        "step" + labels + "} 7", "complete" + labels + "} 1",
        "info" + labels + R"(,epsilon="0.1",relative="false",heads="4",baseline_step="0"} 1)"}) {
    EXPECT_THAT(text, HasSubstr("dimwatch_attention_dimension_" + line + "\n"));
  }
}

TEST(MetricsTest, NewestEstimateIsShown) {
  const std::string text = TextOf(SnapshotOf({ViewOf("r")}));
  const std::string labels = R"({project="p",run="r",probe="train/x"})";
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_mean" + labels + " 3.5\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_step" + labels + " 7\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_duplicate_ratio" + labels + " 0.4"));
  EXPECT_THAT(text, HasSubstr("dimwatch_lid_timestamp_seconds" + labels + " 1.5\n"));
}

TEST(MetricsTest, WhatHasNoValueIsAbsent) {
  RunView view = ViewOf("r");
  view.latest_estimates[0].estimate.mean.reset();
  view.latest_scalars.push_back({1, "loss", Step{1}, std::numeric_limits<double>::quiet_NaN()});
  const std::string text = TextOf(SnapshotOf({view}));
  for (const std::string name : {"lid_mean", "lid_rolling_mean", "lid_standard_error", "scalar",
                                 "best_step", "run_last_sample_timestamp_seconds"}) {
    EXPECT_THAT(text, Not(HasSubstr("dimwatch_" + name + "{"))) << name;
  }
  EXPECT_THAT(TextOf({}), ::testing::IsEmpty());
}

TEST(MetricsTest, HostileLabelsCannotBreakThePage) {
  RunView view = ViewOf("r");
  view.run.display_name = "a\"} 1\ndimwatch_lid_mean{x=\"\\\xff\r\x01";
  view.run.user = std::string("u\0v", 3);
  view.run.labels["team"] = "\xC3\x28";
  const std::string text = TextOf(SnapshotOf({view}));
  std::istringstream lines(text);
  int values = 0;
  for (std::string line; std::getline(lines, line);) {
    for (const char c : line) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << line;
    EXPECT_TRUE(line.starts_with("# ") || line.starts_with("dimwatch_")) << line;
    values += line.starts_with("dimwatch_lid_mean{") ? 1 : 0;
  }
  EXPECT_EQ(values, 1);
  EXPECT_THAT(text, HasSubstr("label_team=\"\xEF\xBF\xBD(\""));
}

TEST(MetricsTest, EverySignalIsThereFromTheFirstEstimateOn) {
  RunView view = ViewOf("r");
  Signal signal;
  signal.probe = "train/x";
  signal.kind = SignalKind::kOverfitting;
  signal.state = SignalState::kFiring;
  signal.step = Step{5};
  signal.reason = "0.8 above its minimum";
  view.signals.push_back(signal);
  signal.kind = SignalKind::kExhausted;
  signal.state = SignalState::kPending;
  view.signals.push_back(signal);
  const std::string text = TextOf(SnapshotOf({view}));
  const std::string labels = R"({project="p",run="r",probe="train/x",signal=")";
  EXPECT_THAT(text, HasSubstr("dimwatch_signal_active" + labels + "overfitting\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_signal_active" + labels + "exhausted\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_signal_step" + labels + "exhausted\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_signal_info" + labels +
                              "overfitting\",reason=\"0.8 above its minimum\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("dimwatch_signal_info" + labels + "exhausted")));
  EXPECT_THAT(text, HasSubstr("dimwatch_signal_active" + labels + "collapsed\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(R"(dimwatch_signal_active{project="p",run="r",signal="stalled"} 0)"));
}

TEST(MetricsTest, StopIsRecommendedUnlessInShadow) {
  RunView view = ViewOf("r");
  view.decision.verdict = Verdict::kStop;
  view.decision.best_step = Step{3};
  view.decision.reason = "it overfits";
  std::string text = TextOf(SnapshotOf({view}));
  EXPECT_THAT(text, HasSubstr("dimwatch_early_stop_recommended{project=\"p\",run=\"r\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("dimwatch_best_step{project=\"p\",run=\"r\"} 3\n"));
  const std::string decision = R"(dimwatch_decision_info{project="p",run="r",decision=")";
  EXPECT_THAT(text, HasSubstr(decision + R"(STOP",mode="advisory",reason="it overfits"} 1)"));
  view.decision.mode = PolicyMode::kShadow;
  text = TextOf(SnapshotOf({view}));
  EXPECT_THAT(text, HasSubstr("dimwatch_early_stop_recommended{project=\"p\",run=\"r\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("dimwatch_best_step")));
  EXPECT_THAT(text, HasSubstr(decision + R"(CONTINUE",mode="shadow",reason="in shadow mode; )"));
}

TEST(MetricsTest, SeriesAreCapped) {
  std::vector<RunView> views;
  for (int i = 0; i < 20; ++i) views.push_back(ViewOf("r" + std::to_string(i)));
  const MonitorSnapshot snapshot = SnapshotOf(views);
  const RunSeries whole = SeriesOf(snapshot, 1'000'000);
  EXPECT_EQ(whole.left_out, 0);
  const RunSeries capped = SeriesOf(snapshot, 50);
  EXPECT_EQ(capped.series, 50);
  EXPECT_EQ(capped.left_out, whole.series - 50);
  std::istringstream lines(capped.text);
  int shown = 0;
  for (std::string line; std::getline(lines, line);) shown += line.starts_with("# ") ? 0 : 1;
  EXPECT_EQ(shown, 50);
}

TEST(MetricsTest, EachFamilyHasHelpOnOneLine) {
  ServerMetrics server;
  server.ObserveEstimate({Estimator::kTwoNn, IndexKind::kExact, 0.1, 0.2});
  server.CountHandled("GetRun", "OK");
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : server.Collect()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_EQ(family.help.find('\n'), std::string::npos) << family.name;
  }
  std::istringstream lines(TextOf(SnapshotOf({ViewOf("r")})));
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      const std::size_t end = line.find(' ', 7);
      family = line.substr(7, end - 7);
      EXPECT_TRUE(names.insert(family).second) << family;
      EXPECT_GT(line.size(), end + 1) << family;
    } else {
      EXPECT_TRUE(line == "# TYPE " + family + " gauge" || line.starts_with(family + "{")) << line;
    }
  }
}

TEST(MetricsTest, RejectedRowsAreCountedFromZero) {
  ServerMetrics server;
  EXPECT_EQ(server.rejected_rows().at("invalid_argument"), 0);
  server.CountRejectedRows("invalid_argument", 5);
  server.CountRejectedRows("invalid_argument", -3);
  EXPECT_EQ(server.rejected_rows().at("invalid_argument"), 5);
}

}  // namespace
}  // namespace dimwatch::server
