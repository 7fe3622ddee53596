// What a scrape of /metrics costs: the page of 300 runs with 4 probes each. The baseline hands the
// same series to prometheus-cpp's serializer.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "prometheus/text_serializer.h"
#include "server/metrics.h"

namespace dimwatch::server {
namespace {

constexpr int kRuns = 300;
constexpr int kProbes = 4;
constexpr std::int64_t kMaxSeries = 100'000;

EstimateRecord EstimateOf(int run, int probe) {
  EstimateRecord record;
  record.probe = absl::StrCat("validation/layer.", probe);
  record.step = Step{1000 + run};
  record.estimate.mean = 11.0 + 0.0123456789 * run + probe;
  record.estimate.std = 2.3;
  record.estimate.standard_error = 0.0987654321 + 1e-4 * run;
  for (const double quantile : kQuantiles) {
    record.estimate.quantiles.push_back({quantile, *record.estimate.mean * (0.5 + quantile)});
  }
  record.estimate.rows = record.estimate.points = record.estimate.queries = 2000;
  record.rolling_mean = *record.estimate.mean + 0.01;
  record.create_time = absl::FromUnixMillis(1'700'000'000'000 + run);
  return record;
}

std::shared_ptr<const RunView> ViewOf(int run) {
  auto view = std::make_shared<RunView>();
  view->run.run_id = absl::StrCat("team/bert-base-lr5e-5-seed", run);
  view->run.project = "emotion";
  view->run.display_name = view->run.run_id;
  view->run.user = "ada";
  view->run.labels = {{"model", "bert-base"}, {"lr", "5e-5"}};
  view->run.last_sample_time = absl::FromUnixMillis(1'700'000'000'000 + run);
  view->decision.reason = "no signal of stop_on fires";
  for (int probe = 0; probe < kProbes; ++probe) {
    view->latest_estimates.push_back(EstimateOf(run, probe));
    view->signals.push_back({.probe = view->latest_estimates.back().probe,
                             .kind = SignalKind::kOverfitting,
                             .state = SignalState::kFiring,
                             .step = Step{900},
                             .reason = "LID rose from 9.12 ± 0.11 at step 700 to 11.3 ± 0.12",
                             .evidence = {}});
  }
  for (const char* name : {"train/loss", "train/accuracy", "validation/loss"}) {
    view->latest_scalars.push_back({.cursor = 1, .name = name, .step = Step{1000}, .value = 0.3});
  }
  return view;
}

const MonitorSnapshot& Snapshot() {
  static const MonitorSnapshot snapshot = [] {
    MonitorSnapshot made;
    for (int run = 0; run < kRuns; ++run) made.runs.push_back(ViewOf(run));
    return made;
  }();
  return snapshot;
}

void Page(benchmark::State& state) {
  std::int64_t series = 0;
  for (auto _ : state) {
    const RunSeries runs = SeriesOf(Snapshot(), kMaxSeries);
    series = runs.series;
    benchmark::DoNotOptimize(runs.text.size());
  }
  state.counters["series"] = static_cast<double>(series);
}
BENCHMARK(Page)->Unit(benchmark::kMillisecond);

// The families that Page's text says.
std::vector<prometheus::MetricFamily> FamiliesOf(const std::string& page) {
  std::vector<prometheus::MetricFamily> families;
  for (const absl::string_view line : absl::StrSplit(page, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, "# TYPE")) continue;
    if (absl::StartsWith(line, "# HELP")) {
      families.push_back({std::string(line.substr(7, line.find(' ', 7) - 7)),
                          "help",
                          prometheus::MetricType::Gauge,
                          {}});
      continue;
    }
    const std::size_t open = line.find('{');
    const std::size_t close = line.rfind('}');
    prometheus::ClientMetric& metric = families.back().metric.emplace_back();
    for (const absl::string_view label :
         absl::StrSplit(line.substr(open + 1, close - open - 2), "\",")) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(label, "=\"");
      metric.label.push_back({parts.first, parts.second});
    }
    metric.gauge.value = std::stod(std::string(line.substr(close + 2)));
  }
  return families;
}

void SerializerOfPrometheusCpp(benchmark::State& state) {
  const auto families = FamiliesOf(SeriesOf(Snapshot(), kMaxSeries).text);
  const prometheus::TextSerializer serializer;
  for (auto _ : state) {
    benchmark::DoNotOptimize(serializer.prometheus::Serializer::Serialize(families).size());
  }
}
BENCHMARK(SerializerOfPrometheusCpp)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace dimwatch::server
