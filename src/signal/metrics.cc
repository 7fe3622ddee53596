#include "src/signal/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/ascii.h"

namespace dimwatch {
namespace {

constexpr double kGainErrors = 2;  // standard errors by which an average must have got better

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
  Value next{step, order, value, best, value, 0};
  if (!values.empty()) {
    const double distance = value - values.front().value;
    next.sum += values.back().sum;
    next.squares = values.back().squares + distance * distance;
  }
  values.push_back(next);
  return dropped;
}

std::size_t Metrics::CountAt(const Series& series, const Moment& moment) {
  const auto end = std::partition_point(
      series.values.begin(), series.values.end(),
      [&](const Value& value) { return value.step <= moment.step && value.order < moment.order; });
  return static_cast<std::size_t>(end - series.values.begin());
}

bool Metrics::Any(const Moment& moment) const {
  return std::ranges::any_of(series_,
                             [&](const auto& named) { return CountAt(named.second, moment) > 0; });
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

Metrics::Average Metrics::AverageOf(const Series& series, std::size_t begin, std::size_t end) {
  const std::vector<Value>& values = series.values;
  const double n = static_cast<double>(end - begin);
  const double first = values.front().value;
  const double sum = values[end - 1].sum - (begin > 0 ? values[begin - 1].sum : 0);
  const double squares = values[end - 1].squares - (begin > 0 ? values[begin - 1].squares : 0);
  const double mean = sum / n;
  const double variance = (squares / n - (mean - first) * (mean - first)) * n / (n - 1);
  return {mean, std::max(0.0, variance) / n};
}

std::size_t Metrics::CountUpTo(const Series& series, Step step, std::size_t count) {
  const auto begin = series.values.begin();
  const auto end = std::partition_point(begin, begin + static_cast<std::ptrdiff_t>(count),
                                        [&](const Value& value) { return value.step <= step; });
  return static_cast<std::size_t>(end - begin);
}

std::optional<LateFall> Metrics::FallingSince(Step since, const Moment& moment) const {
  std::optional<LateFall> largest;
  for (const auto& [name, series] : series_) {
    if (series.kind != MetricKind::kTrainLoss) continue;
    const std::size_t count = CountAt(series, moment);
    const std::size_t begin = CountUpTo(series, since, count);
    if (count - begin < 4) continue;
    const std::size_t middle = begin + (count - begin) / 2;
    const double newer = AverageOf(series, middle, count).mean;
    const double all = series.values.front().value - newer;
    if (!(all > 0)) continue;
    const double share = 2 * (AverageOf(series, begin, middle).mean - newer) / all;
    if (!largest || share > largest->share) largest = LateFall{name, share};
  }
  return largest;
}

std::optional<MetricGain> Metrics::GainOf(const std::string& name, const Series& series, Step since,
                                          const Moment& moment) {
  const std::size_t count = CountAt(series, moment);
  if (count < 2) return std::nullopt;
  const std::vector<Value>& values = series.values;
  const Value& newest = values[count - 1];
  const std::int64_t rhythm = newest.step.value - values[count - 2].step.value;
  const bool overdue = moment.step.value - newest.step.value > 2 * rhythm;
  const std::size_t best = newest.best;
  if (best > 0 && (values[best].step > since || (best == count - 1 && !overdue))) {
    return MetricGain{name, values[best].step, values[best].value,
                      values[values[best - 1].best].value};
  }
  const std::size_t middle = CountUpTo(series, since, count);
  const std::size_t recent = count - middle;
  if (overdue || recent < 2 || middle < recent) return std::nullopt;
  const Average before = AverageOf(series, middle - recent, middle);
  const Average now = AverageOf(series, middle, count);
  const double sign = series.kind == MetricKind::kValidationScore ? 1 : -1;
  const double gain = sign * (now.mean - before.mean);
  if (!(gain > kGainErrors * std::sqrt(now.variance + before.variance))) return std::nullopt;
  return MetricGain{name, newest.step, now.mean, before.mean};
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

std::optional<MetricLoss> Metrics::LossSince(Step since, const Moment& moment) const {
  for (const MetricKind kind : {MetricKind::kValidationScore, MetricKind::kValidationLoss}) {
    for (const auto& [name, series] : series_) {
      const std::size_t count = series.kind == kind ? CountAt(series, moment) : 0;
      const std::size_t begin = CountUpTo(series, since, count);
      if (count - begin < 4) continue;
      const std::size_t middle = begin + (count - begin) / 2;
      const Average before = AverageOf(series, begin, middle);
      const Average now = AverageOf(series, middle, count);
      const double sign = kind == MetricKind::kValidationScore ? 1 : -1;
      const double loss = sign * (before.mean - now.mean);
      const double error = std::sqrt(before.variance + now.variance);
      return MetricLoss{name, before.mean, now.mean, loss == 0 ? 0 : loss / error};
    }
  }
  return std::nullopt;
}

std::optional<MetricRecord> Metrics::Best(const Moment& moment) const {
  for (const MetricKind kind : {MetricKind::kValidationScore, MetricKind::kValidationLoss}) {
    for (const auto& [name, series] : series_) {
      const std::size_t count = series.kind == kind ? CountAt(series, moment) : 0;
      if (count < 2) continue;
      const Value& best = series.values[series.values[count - 1].best];
      return MetricRecord{name, best.step, best.value};
    }
  }
  return std::nullopt;
}

}  // namespace dimwatch
