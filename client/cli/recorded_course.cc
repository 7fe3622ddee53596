#include "client/cli/recorded_course.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

#include "client/cli/json.h"

namespace dimwatch::cli {
namespace {

// Not negative, and so far from the type's end that a few of them can be added.
template <typename Count>
bool IsCount(const Json& value) {
  return value.is_number_integer() && value >= 0 && value <= std::numeric_limits<Count>::max() / 8;
}

// Takes members out of a line. The first failure is kept.
class LineReader {
 public:
  explicit LineReader(const Json& line) : line_(line) {}

  // One that must be there.
  template <typename Value>
  void Take(const char* key, Value& value) {
    if (!line_.contains(key)) return Fail(key, "is missing");
    TakeIfThere(key, value);
  }
  // One whose default stands for "not said".
  template <typename Value>
  void TakeIfThere(const char* key, Value& value) {
    if (!line_.contains(key)) return;
    try {
      if constexpr (std::is_floating_point_v<Value>) {
        if (!line_[key].is_number()) return Fail(key, "must be a number");
      } else if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool>) {
        if (!IsCount<Value>(line_[key])) return Fail(key, "must be an integer, 0 or greater");
      }
      line_[key].get_to(value);
    } catch (const Json::exception&) {
      Fail(key, "has the wrong type");
    }
  }
  // One that may be undefined: null.
  void TakeIfThere(const char* key, std::optional<double>& value) {
    if (!line_.contains(key) || line_[key].is_null()) return;
    TakeIfThere(key, value.emplace());
  }
  void TakeStep(Step& step) { Take("step", step.value); }
  // A name that `parse` understands.
  template <typename Value, typename Parse>
  void TakeName(const char* key, Parse parse, Value& value) {
    std::string name;
    TakeIfThere(key, name);
    if (name.empty() || !status_.ok()) return;
    const absl::StatusOr<Value> parsed = parse(name);
    if (parsed.ok()) {
      value = *parsed;
    } else {
      status_ = parsed.status();
    }
  }
  void Fail(const char* key, const std::string& what) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(
        "`" + std::string(key) + "` " + what +
        (line_.contains(key) ? ", got " + line_[key].dump() : std::string()));
  }
  const absl::Status& status() const { return status_; }

 private:
  const Json& line_;
  absl::Status status_;
};

void TakeCloud(const Json& line, LineReader& reader, CloudEstimate& estimate) {
  reader.TakeName("estimator", ParseEstimator, estimate.settings.estimator);
  reader.TakeName("cdf", ParseCdf, estimate.settings.cdf);
  reader.TakeName("fit", ParseFit, estimate.settings.fit);
  reader.TakeName("index", ParseIndexKind, estimate.settings.index);
  reader.TakeIfThere("neighbors", estimate.settings.neighbors);
  reader.TakeIfThere("duplicate_tolerance", estimate.settings.duplicate_tolerance);
  reader.TakeIfThere("mean", estimate.mean);
  reader.TakeIfThere("std", estimate.std);
  reader.TakeIfThere("standard_error", estimate.standard_error);
  reader.TakeIfThere("harmonic_mean", estimate.harmonic_mean);
  reader.TakeIfThere("harmonic_mean_standard_error", estimate.harmonic_mean_standard_error);
  reader.TakeIfThere("n_points", estimate.points);
  reader.TakeIfThere("n_queries", estimate.queries);
  reader.TakeIfThere("n_invalid", estimate.invalid);
  reader.TakeIfThere("n_duplicates", estimate.duplicate_rows);
  reader.TakeIfThere("n_near_duplicates", estimate.near_duplicates);
  reader.TakeIfThere("n_nonfinite", estimate.nonfinite_rows);
  estimate.rows = estimate.points + estimate.duplicate_rows + estimate.nonfinite_rows;
  reader.TakeIfThere("n_rows", estimate.rows);
  reader.TakeIfThere("variance", estimate.variance);
  reader.TakeIfThere("recall", estimate.recall);
  reader.TakeIfThere("recall_low", estimate.recall_low);
  reader.TakeIfThere("bias_bound", estimate.bias_bound);
  reader.TakeIfThere("engine_reason", estimate.engine_reason);
  if (!line.contains("quantiles")) return;
  LineReader quantiles(line["quantiles"]);
  for (const double quantile : kQuantiles) {
    std::optional<double> value;
    quantiles.TakeIfThere(Json(quantile).dump().c_str(), value);
    if (value.has_value()) estimate.quantiles.push_back({quantile, *value});
  }
  if (!quantiles.status().ok()) reader.Fail("quantiles", "must be numbers");
}

absl::StatusOr<EventRecord> ParseEstimateLine(const Json& line) {
  LineReader reader(line);
  EstimateRecord record;
  reader.TakeStep(record.step);
  reader.Take("probe", record.probe);
  if (!line.contains("mean")) reader.Fail("mean", "is missing");
  reader.TakeIfThere("complete", record.complete);
  TakeCloud(line, reader, record.estimate);
  reader.TakeIfThere("incomplete_reason", record.incomplete_reason);
  reader.TakeIfThere("subsampled_reason", record.subsampled_reason);
  reader.TakeIfThere("window_fill", record.window_fill);
  reader.TakeIfThere("rolling_mean", record.rolling_mean);
  reader.TakeIfThere("paired_change", record.paired_change);
  reader.TakeIfThere("paired_change_standard_error", record.paired_change_standard_error);
  if (!reader.status().ok()) return reader.status();
  return record;
}

absl::StatusOr<EventRecord> ParseScalarLine(const Json& line) {
  LineReader reader(line);
  ScalarRecord record;
  reader.TakeStep(record.step);
  reader.Take("name", record.name);
  reader.Take("value", record.value);
  if (!reader.status().ok()) return reader.status();
  return record;
}

// A rewind names its series; whether that is a probe, the lines before it tell.
absl::StatusOr<EventRecord> ParseRewindLine(const Json& line, const RecordedCourse& course) {
  LineReader reader(line);
  RewindRecord record;
  std::string series;
  reader.TakeStep(record.step);
  reader.Take("series", series);
  if (!reader.status().ok()) return reader.status();
  const bool is_probe = std::ranges::find(course.probes, series) != course.probes.end();
  (is_probe ? record.probe : record.scalar) = series;
  return record;
}

absl::Status ParseLine(const std::string& text, RecordedCourse& course) {
  const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!line.is_object() || !line.contains("type") || !line["type"].is_string()) {
    return absl::InvalidArgumentError("a JSON object with a `type` is expected");
  }
  const std::string type = line["type"];
  absl::StatusOr<EventRecord> event;
  if (type == "estimate") {
    event = ParseEstimateLine(line);
  } else if (type == "scalar") {
    event = ParseScalarLine(line);
  } else if (type == "rewind") {
    event = ParseRewindLine(line, course);
  } else {
    return absl::OkStatus();
  }
  if (!event.ok()) return event.status();
  const std::int64_t cursor = std::ssize(course.events) + 1;
  std::visit([&](auto& record) { record.cursor = cursor; }, *event);
  if (const auto* estimate = std::get_if<EstimateRecord>(&*event)) {
    const bool known = std::ranges::find(course.probes, estimate->probe) != course.probes.end();
    if (!known) course.probes.push_back(estimate->probe);
  }
  course.events.push_back(*std::move(event));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RecordedCourse> ReadRecordedCourse(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) return absl::NotFoundError("cannot read " + file.string());
  RecordedCourse course;
  std::string text;
  for (int line = 1; std::getline(stream, text); ++line) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const absl::Status status = ParseLine(text, course);
    if (!status.ok()) {
      return absl::InvalidArgumentError(file.string() + ":" + std::to_string(line) + ": " +
                                        std::string(status.message()));
    }
  }
  if (stream.bad()) return absl::InternalError("cannot read " + file.string());
  if (course.probes.empty()) {
    return absl::InvalidArgumentError(file.string() + " holds no estimate");
  }
  return course;
}

}  // namespace dimwatch::cli
