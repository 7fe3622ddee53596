// How things look for people: numbers with their uncertainty, tables, sparklines, color.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/json.h"
#include "dimwatch/v1/query.pb.h"

namespace dimwatch::cli {

// "8.42 ± 0.07": the mean to the digits that its standard error leaves, never alone. "none" for no
// mean, "8.42 ± ?" for no error.
std::string MeanText(const std::optional<double>& mean, const std::optional<double>& error);
std::string MeanText(const v1::Estimate& estimate);

// One character of eighths per value from the lowest to the highest, at most `width` of the last
// ones. Values that are not there are blanks.
std::string Sparkline(const std::vector<std::optional<double>>& values, std::size_t width);

// A bar of eighths of a column, `width` columns long for a share of 1. REQUIRES: 0 <= share <= 1.
std::string Bar(double share, std::size_t width);

enum class Color { kNone, kRed, kGreen, kYellow, kDim };
// Wraps `text` if `enabled`.
std::string Colored(const std::string& text, Color color, bool enabled);
Color ColorOf(v1::SignalState state);
Color ColorOf(v1::Verdict verdict);
// Whether standard output is a terminal that may be colored (NO_COLOR is respected).
bool StdoutIsColored();
bool StdoutIsTerminal();

// Columns as wide as their widest cell, two blanks apart.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  // REQUIRES: as many cells as the header has.
  void Add(std::vector<std::string> cells);
  // Lines that end in a newline; the header is dim if `colored`.
  std::string ToString(bool colored) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// The settings of an estimate in a cell: "twonn paper ols exact"; with the recall and what it
// may do to the mean, where the index is approximate.
std::string SettingsText(std::string_view estimator, std::string_view cdf, std::string_view fit,
                         std::string_view index, double recall, double bias_bound);
std::string SettingsText(const v1::Estimate& estimate);
// One estimate as a row of a table, with everything that is needed to judge its mean.
std::vector<std::string> EstimateHeader();
std::vector<std::string> EstimateCells(const v1::Estimate& estimate);
// "overfitting FIRING on train/last at step 760: <reason>".
std::string SignalText(const v1::Signal& signal, bool colored);
// "mode=advisory stop_on=overfitting,collapsed": parameters as `dimwatch set` takes them.
std::string ParametersText(const Json& parameters);
// "signals.patience 3 -> 5, policy.mode advisory -> shadow at step 760, <time> by <author>".
std::string SettingsChangeText(const v1::SettingsChange& change);
// "STOP at step 760: <reason> (best step 228)"; and that the job is not told, in shadow mode.
std::string DecisionText(const v1::Decision& decision);
// How full the window is: "100%".
std::string FillText(double window_fill);
// "yes", or "NO: <reason>".
std::string CompleteText(bool complete, const std::string& reason);

}  // namespace dimwatch::cli
