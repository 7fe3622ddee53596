#include "client/cli/text.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_join.h"

namespace dimwatch::cli {
namespace {

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Columns that UTF-8 text takes on a terminal, escape sequences aside. Names are ASCII, and the
// symbols used here are one column wide.
std::size_t Width(const std::string& text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
      if (i == std::string::npos) break;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
      ++width;
    }
  }
  return width;
}

// As `dimwatch set` takes it.
std::string ValueText(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  return absl::StrJoin(value.get<std::vector<std::string>>(), ",");
}

}  // namespace

std::string MeanText(const std::optional<double>& mean, const std::optional<double>& error) {
  if (!mean.has_value()) return "none";
  if (!error.has_value()) return Fixed(*mean, 2) + " ± ?";
  // Two significant digits of the error, at least two decimals.
  const int digits =
      *error > 0 ? std::clamp(1 - static_cast<int>(std::floor(std::log10(*error))), 2, 6) : 2;
  return Fixed(*mean, digits) + " ± " + Fixed(*error, digits);
}

std::string MeanText(const v1::Estimate& estimate) {
  return MeanText(
      estimate.has_mean() ? std::optional(estimate.mean()) : std::nullopt,
      estimate.has_standard_error() ? std::optional(estimate.standard_error()) : std::nullopt);
}

std::string Sparkline(const std::vector<std::optional<double>>& values, std::size_t width) {
  static constexpr std::array<const char*, 8> kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t first = values.size() > width ? values.size() - width : 0;
  std::optional<double> low;
  std::optional<double> high;
  for (std::size_t i = first; i < values.size(); ++i) {
    if (!values[i].has_value()) continue;
    low = std::min(low.value_or(*values[i]), *values[i]);
    high = std::max(high.value_or(*values[i]), *values[i]);
  }
  std::string line;
  for (std::size_t i = first; i < values.size(); ++i) {
    if (!values[i].has_value()) {
      line += ' ';
      continue;
    }
    const double share = *high > *low ? (*values[i] - *low) / (*high - *low) : 0.5;
    line += kBars[static_cast<std::size_t>(std::lround(share * (kBars.size() - 1)))];
  }
  return line;
}

std::string Bar(double share, std::size_t width) {
  static constexpr std::array<const char*, 8> kParts = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<std::size_t>(std::lround(share * static_cast<double>(8 * width)));
  std::string bar;
  for (std::size_t i = 0; i < eighths / 8; ++i) bar += "█";
  return bar + kParts[eighths % 8];
}

std::string Colored(const std::string& text, Color color, bool enabled) {
  if (!enabled || color == Color::kNone) return text;
  static constexpr std::array<const char*, 5> kCodes = {"0", "31", "32", "33", "2"};
  return std::string("\x1b[") + kCodes[static_cast<std::size_t>(color)] + "m" + text + "\x1b[0m";
}

Color ColorOf(v1::SignalState state) {
  if (state == v1::SIGNAL_STATE_FIRING) return Color::kRed;
  return state == v1::SIGNAL_STATE_PENDING ? Color::kYellow : Color::kNone;
}

Color ColorOf(v1::Verdict verdict) {
  return verdict == v1::VERDICT_STOP ? Color::kRed : Color::kGreen;
}

bool StdoutIsTerminal() { return isatty(STDOUT_FILENO) == 1; }

bool StdoutIsColored() {
  const char* no_color = std::getenv("NO_COLOR");
  return StdoutIsTerminal() && (no_color == nullptr || *no_color == '\0');
}

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::ToString(bool colored) const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], Width(row[c]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      line += row[c];
      if (c + 1 < row.size()) line.append(widths[c] - Width(row[c]) + 2, ' ');
    }
    text += Colored(line, Color::kDim, colored && &row == &rows_.front()) + "\n";
  }
  return text;
}

std::string SettingsText(std::string_view estimator, std::string_view cdf, std::string_view fit,
                         std::string_view index, double recall, double bias_bound) {
  std::string text;
  for (const std::string_view part : {estimator, cdf, fit, index}) {
    text.append(text.empty() ? "" : " ").append(part);
  }
  if (bias_bound > 0) {
    text += " (recall " + Fixed(recall, 3) + ", mean up to " + Fixed(100 * bias_bound, 1) +
            " % too low)";
  }
  return text;
}

std::string SettingsText(const v1::Estimate& estimate) {
  const v1::EstimatorConfig& config = estimate.config();
  return SettingsText(EnumName(config.estimator()), EnumName(config.cdf()), EnumName(config.fit()),
                      EnumName(config.index()), estimate.recall(), estimate.bias_bound());
}

std::vector<std::string> EstimateHeader() {
  return {"PROBE",    "STEP", "LID (mean ± s.e.)", "n",     "L",
          "SETTINGS", "FILL", "INVALID",           "EQUAL", "COMPLETE"};
}

std::vector<std::string> EstimateCells(const v1::Estimate& estimate) {
  return {estimate.probe(),
          std::to_string(estimate.step()),
          MeanText(estimate),
          std::to_string(estimate.queries()),
          std::to_string(estimate.config().neighbors()),
          SettingsText(estimate),
          FillText(estimate.window_fill()),
          std::to_string(estimate.invalid()),
          std::to_string(estimate.duplicate_rows()),
          CompleteText(estimate.complete(), estimate.incomplete_reason()) +
              (estimate.subsampled_reason().empty() ? "" : "; " + estimate.subsampled_reason())};
}

std::string SignalText(const v1::Signal& signal, bool colored) {
  return signal.signal() + " " +
         Colored(EnumName(signal.state()), ColorOf(signal.state()), colored) +
         (signal.probe().empty() ? "" : " on " + signal.probe()) + " at step " +
         std::to_string(signal.step()) + ": " + signal.reason();
}

std::string ParametersText(const Json& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters.items()) {
    text += (text.empty() ? "" : " ") + name + "=" + ValueText(value);
  }
  return text;
}

std::string SettingsChangeText(const v1::SettingsChange& change) {
  const Json json = ToJson(change);
  std::string text;
  for (const auto& [name, values] : json["changed"].items()) {
    text += (text.empty() ? "" : ", ") + name + " " + ValueText(values["old"]) + " -> " +
            ValueText(values["new"]);
  }
  const std::string step = change.has_step() ? " at step " + std::to_string(change.step()) : "";
  return text + step + ", " + TimeText(change.create_time()) + " by " + change.author();
}

std::string DecisionText(const v1::Decision& decision) {
  std::string text = EnumName(decision.verdict()) + " at step " + std::to_string(decision.step()) +
                     ": " + decision.reason();
  if (decision.has_best_step()) {
    text += " (best step " + std::to_string(decision.best_step()) + ")";
  }
  const bool shadow = decision.mode() == v1::POLICY_MODE_SHADOW;
  if (shadow && decision.verdict() == v1::VERDICT_STOP) text += " [shadow: the job goes on]";
  return text;
}

std::string FillText(double window_fill) { return Fixed(100 * window_fill, 0) + "%"; }

std::string CompleteText(bool complete, const std::string& reason) {
  return complete ? "yes" : "NO: " + reason;
}

}  // namespace dimwatch::cli
