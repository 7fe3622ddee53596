#include "src/store/settings_json.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/store/random_records.h"

namespace dimwatch {
namespace {

template <typename Value>
void ExpectRoundTrip(const Value& value) {
  const absl::StatusOr<std::string> text = ToJson(value);
  ASSERT_TRUE(text.ok()) << text.status();
  const absl::StatusOr<Value> back = FromJson<Value>(*text);
  ASSERT_TRUE(back.ok()) << back.status() << "\n" << *text;
  EXPECT_TRUE(*back == value) << *text;
}

TEST(SettingsJsonTest, EveryTypeComesBackEqual) {
  RandomRecords random(1);
  for (int i = 0; i < 100; ++i) {
    const RunRecord run = random.Run("r");
    ExpectRoundTrip(run.signals);
    ExpectRoundTrip(run.policy);
    ExpectRoundTrip(run.probes);
    ExpectRoundTrip(run.labels);
    ExpectRoundTrip(random.Probe("train/last"));
    ExpectRoundTrip(random.Kinds());
    ExpectRoundTrip(random.Profile());
    ExpectRoundTrip(random.Counting());
    ExpectRoundTrip(random.Attention(1, "p", Step{1}).baseline);
    ExpectRoundTrip(random.Estimate(1, "p", Step{1}).estimate.quantiles);
    ExpectRoundTrip(random.SignalChange(1).signal.evidence);
  }
}

TEST(SettingsJsonTest, NumbersThatJsonLacksComeBack) {
  const double infinity = std::numeric_limits<double>::infinity();
  ExpectRoundTrip(std::map<std::string, double>{{"a", infinity}, {"b", -infinity}});
  const auto text = ToJson(std::map<std::string, double>{{"a", std::nan("")}});
  ASSERT_TRUE(text.ok());
  const auto back = FromJson<std::map<std::string, double>>(*text);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(std::isnan(back->at("a")));
}

TEST(SettingsJsonTest, OtherTextIsDataLoss) {
  const std::string good = *ToJson(EstimatorSettings());
  for (const auto& [part, other] : std::initializer_list<std::pair<std::string, std::string>>{
           {"128", "2147483648"},                // beyond int
           {"128", "9223372036854775809"},       // beyond int64
           {"128", "1.5"},                       // no integer
           {"128", "null"},                      // no number
           {"128", "\"128\""},                   // text
           {"\"twonn\"", "\"threenn\""},         // unknown name
           {"\"twonn\"", "1"},                   // no name
           {"\"neighbors\"", "\"neighbours\""},  // key missing
           {"{", "["},                           // not JSON
       }) {
    std::string bad = good;
    bad.replace(bad.find(part), part.size(), other);
    EXPECT_TRUE(absl::IsDataLoss(FromJson<EstimatorSettings>(bad).status())) << bad;
  }
  EXPECT_TRUE(absl::IsDataLoss(FromJson<EstimatorSettings>("").status()));
  EXPECT_TRUE(absl::IsDataLoss(FromJson<EstimatorSettings>("[]").status()));
  EXPECT_TRUE(absl::IsDataLoss(FromJson<std::vector<Quantile>>("[[0.5]]").status()));
  EXPECT_TRUE(absl::IsDataLoss((FromJson<std::map<std::string, double>>("[1]").status())));
}

TEST(SettingsJsonTest, SettingsOfAnOlderFileHaveTheDefaultsOfNewerOnes) {
  ProbeSettings probe;
  probe.identity = {"train/last", Split::kTrain, "last"};
  std::string text = *ToJson(probe);
  // "target_standard_error" is the last of its object.
  for (const std::string newer : {R"("duplicate_tolerance":0.0,)", R"("scale_every":0,)",
                                  R"(,"target_standard_error":0.0)"}) {
    ASSERT_NE(text.find(newer), std::string::npos) << text;
    text.erase(text.find(newer), newer.size());
  }
  const absl::StatusOr<ProbeSettings> back = FromJson<ProbeSettings>(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, probe);
}

TEST(SettingsJsonTest, TextThatIsNotUtf8IsRefused) {
  const std::map<std::string, std::string> labels = {{"team", "\xc3("}};
  EXPECT_TRUE(absl::IsInvalidArgument(ToJson(labels).status()));
}

}  // namespace
}  // namespace dimwatch
