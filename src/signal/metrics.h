// The job's own numbers as evidence: which scalars count, and what they say.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/signal/types.h"

namespace dimwatch {

enum class MetricKind {
  kOther,            // no evidence
  kTrainLoss,        // lower is better
  kValidationLoss,   // lower is better
  kValidationScore,  // higher is better
};

// Reads the kind from the words of a name, in any case; words end at a character that is neither
// letter nor digit, and where a capital follows a small letter. Validation: "val", "valid",
// "validation", "test", "eval", "dev". Loss: "loss". Score: "acc", "accuracy", "f1", "score". A
// loss is a training loss if it is not a validation loss.
MetricKind ClassifyMetric(std::string_view name);

// How far a metric has come.
struct MetricChange {
  std::string name;
  double first = 0;
  double newest = 0;
};

// A metric that got better lately.
struct MetricGain {
  std::string name;
  Step best_step;
  double best = 0;
  double previous_best = 0;
};

// The scalars of a run that are evidence. Every number is kept with its place in the run's order of
// arrival, so that a run can be judged again as it came. Not thread-safe.
class Metrics {
 public:
  // A point in the run: what arrived before `order`, and is not of a later step than `step`.
  struct Moment {
    std::int64_t order = 0;
    Step step;
  };

  // Returns the order of the earliest value that was dropped, if the step went back. Names without
  // evidence and values that are not finite are not kept. O(1) unless the step went back. REQUIRES:
  // `order` is above all before.
  std::optional<std::int64_t> Observe(std::string_view name, Step step, double value,
                                      std::int64_t order);

  // First and newest value of the first metric of the kind by name; none before two values.
  // O(log n).
  std::optional<MetricChange> Change(MetricKind kind, const Moment& moment) const;

  // A validation metric that beat its own record after `since`, or with its newest value, if that
  // is not overdue by its own rhythm. Scores are asked first; losses only where there is no score,
  // for a validation loss may rise while the task is still being learned. O(log n) a metric.
  std::optional<MetricGain> Improving(Step since, const Moment& moment) const;

 private:
  struct Value {
    Step step;
    std::int64_t order = 0;
    double value = 0;
    std::size_t best = 0;  // index of the best value so far, the first of equals
  };
  struct Series {
    MetricKind kind = MetricKind::kOther;
    std::vector<Value> values;
  };

  static std::size_t CountAt(const Series& series, const Moment& moment);
  static std::optional<MetricGain> GainOf(const std::string& name, const Series& series, Step since,
                                          const Moment& moment);

  std::map<std::string, Series, std::less<>> series_;
};

}  // namespace dimwatch
