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

// A metric that got better lately: from `before` to `now` at `step`.
struct MetricGain {
  std::string name;
  Step step;
  double now = 0;
  double before = 0;
};

// A training loss that still falls.
struct LateFall {
  std::string name;
  double share = 0;  // of all its fall
};

// How a validation metric went on: its averages over the older and the newer half of a time, and by
// how many standard errors it got worse (infinite for a change without noise); below 0 where it got
// better.
struct MetricLoss {
  std::string name;
  double before = 0;
  double now = 0;
  double errors = 0;
};

// The best that a metric ever was.
struct MetricRecord {
  std::string name;
  Step step;
  double value = 0;
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

  // Whether anything but the LID tells how training goes: a loss or a validation metric.
  bool Any(const Moment& moment) const;

  // First and newest value of the first metric of the kind by name; none before two values.
  // O(log n).
  std::optional<MetricChange> Change(MetricKind kind, const Moment& moment) const;

  // Which part of all its fall a training loss still made after `since`: twice the difference of
  // its averages over the older and the newer half of these values, by the difference of its first
  // value and the newer average. The largest of several losses; none of fewer than four values, or
  // of a loss that has not fallen. O(log n) a metric.
  std::optional<LateFall> FallingSince(Step since, const Moment& moment) const;

  // A validation metric that beat its own record after `since`; or, if its newest value is not
  // overdue by its own rhythm, beat it with that, or is better on average after `since` than over
  // as many values before by more than two standard errors (Welch). Scores are asked first;
  // losses only where there is no score, for a validation loss may rise while the task is still
  // being learned. O(log n) a metric.
  std::optional<MetricGain> Improving(Step since, const Moment& moment) const;

  // How the first validation score by name, or, where there is none, the first validation loss,
  // went on after `since` (Welch); none of fewer than four values since then. O(log n).
  std::optional<MetricLoss> LossSince(Step since, const Moment& moment) const;

  // The record of the first validation score by name, or, where there is none, of the first
  // validation loss; none before two values. O(log n).
  std::optional<MetricRecord> Best(const Moment& moment) const;

 private:
  struct Value {
    Step step;
    std::int64_t order = 0;
    double value = 0;
    std::size_t best = 0;  // index of the best value so far, the first of equals
    double sum = 0;        // of all values up to here
    double squares = 0;    // of their distances from the first
  };
  struct Series {
    MetricKind kind = MetricKind::kOther;
    std::vector<Value> values;
  };
  struct Average {
    double mean = 0;
    double variance = 0;  // of `mean`
  };

  static std::size_t CountAt(const Series& series, const Moment& moment);
  // Over the values from `begin` to before `end`. REQUIRES: at least two.
  static Average AverageOf(const Series& series, std::size_t begin, std::size_t end);
  // How many values are not after `step`.
  static std::size_t CountUpTo(const Series& series, Step step, std::size_t count);
  static std::optional<MetricGain> GainOf(const std::string& name, const Series& series, Step since,
                                          const Moment& moment);

  std::map<std::string, Series, std::less<>> series_;
};

}  // namespace dimwatch
