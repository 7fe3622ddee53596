#include "src/signal/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/ascii.h"

namespace dimwatch {
namespace {

std::vector<std::string> Words(std::string_view name) {
  std::vector<std::string> words(1);
  char previous = 0;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    const bool hump =
        absl::ascii_isupper(u) && absl::ascii_islower(static_cast<unsigned char>(previous));
    if ((hump || !absl::ascii_isalnum(u)) && !words.back().empty()) words.emplace_back();
    if (absl::ascii_isalnum(u)) words.back() += absl::ascii_tolower(u);
    previous = c;
  }
  return words;
}

template <std::size_t n>
bool HasAny(const std::vector<std::string>& words, const std::array<std::string_view, n>& wanted) {
  return std::find_first_of(words.begin(), words.end(), wanted.begin(), wanted.end()) !=
         words.end();
}

}  // namespace

MetricKind ClassifyMetric(std::string_view name) {
  constexpr std::array<std::string_view, 6> kValidation = {"val",  "valid", "validation",
                                                           "test", "eval",  "dev"};
  constexpr std::array<std::string_view, 1> kLoss = {"loss"};
  constexpr std::array<std::string_view, 4> kScore = {"acc", "accuracy", "f1", "score"};
  const std::vector<std::string> words = Words(name);
  const bool validation = HasAny(words, kValidation);
  if (HasAny(words, kLoss)) {
    return validation ? MetricKind::kValidationLoss : MetricKind::kTrainLoss;
  }
  return validation && HasAny(words, kScore) ? MetricKind::kValidationScore : MetricKind::kOther;
}

std::optional<std::int64_t> Metrics::Observe(std::string_view name, Step step, double value,
                                             std::int64_t order) {
  auto found = series_.find(name);
  if (found == series_.end()) {
    const MetricKind kind = ClassifyMetric(name);
    if (kind == MetricKind::kOther) return std::nullopt;
    found = series_.emplace(std::string(name), Series{kind, {}}).first;
  }
  std::vector<Value>& values = found->second.values;
  std::optional<std::int64_t> dropped;
  for (; !values.empty() && values.back().step >= step; values.pop_back()) {
    dropped = values.back().order;
  }
  if (!std::isfinite(value)) return dropped;
  std::size_t best = values.size();
  if (!values.empty()) {
    const double record = values[values.back().best].value;
    const bool higher_is_better = found->second.kind == MetricKind::kValidationScore;
    if (!(higher_is_better ? value > record : value < record)) best = values.back().best;
  }
  values.push_back({step, order, value, best});
  return dropped;
}

std::size_t Metrics::CountAt(const Series& series, const Moment& moment) {
  const auto end = std::partition_point(
      series.values.begin(), series.values.end(),
      [&](const Value& value) { return value.step <= moment.step && value.order < moment.order; });
  return static_cast<std::size_t>(end - series.values.begin());
}

std::optional<MetricChange> Metrics::Change(MetricKind kind, const Moment& moment) const {
  for (const auto& [name, series] : series_) {
    if (series.kind != kind) continue;
    const std::size_t count = CountAt(series, moment);
    if (count < 2) continue;
    return MetricChange{name, series.values.front().value, series.values[count - 1].value};
  }
  return std::nullopt;
}

std::optional<MetricGain> Metrics::GainOf(const std::string& name, const Series& series, Step since,
                                          const Moment& moment) {
  const std::size_t count = CountAt(series, moment);
  if (count < 2) return std::nullopt;
  const std::vector<Value>& values = series.values;
  const Value& newest = values[count - 1];
  const std::size_t best = newest.best;
  if (best == 0) return std::nullopt;  // it was best at the beginning
  const std::int64_t rhythm = newest.step.value - values[count - 2].step.value;
  const bool overdue = moment.step.value - newest.step.value > 2 * rhythm;
  if (values[best].step <= since && (best != count - 1 || overdue)) return std::nullopt;
  return MetricGain{name, values[best].step, values[best].value,
                    values[values[best - 1].best].value};
}

std::optional<MetricGain> Metrics::Improving(Step since, const Moment& moment) const {
  for (const MetricKind kind : {MetricKind::kValidationScore, MetricKind::kValidationLoss}) {
    bool reported = false;
    for (const auto& [name, series] : series_) {
      if (series.kind != kind) continue;
      reported = reported || CountAt(series, moment) >= 2;
      if (auto gain = GainOf(name, series, since, moment)) return gain;
    }
    if (reported) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace dimwatch
