#include "tests/signal/scenario.h"

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/signal/judge.h"

namespace dimwatch {
namespace {

using Fields = std::map<std::string, std::string>;

[[noreturn]] void Fail(std::string_view what, std::string_view line) {
  throw std::invalid_argument(std::string(what) + ": '" + std::string(line) + "'");
}

double Number(const std::string& text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value)) Fail("not a number", text);
  return value;
}

Step StepOf(const std::string& text) { return Step{static_cast<std::int64_t>(Number(text))}; }

std::vector<std::string> Words(const std::string& line) {
  return absl::StrSplit(line, ' ', absl::SkipEmpty());
}

Fields ParseFields(const std::vector<std::string>& words) {
  Fields fields;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(words[i], absl::MaxSplits('=', 1));
    fields.insert(field);
  }
  return fields;
}

Split SplitOf(std::string_view probe) {
  if (probe.substr(0, 6) == "train/") return Split::kTrain;
  return probe.substr(0, 11) == "validation/" ? Split::kValidation : Split::kOther;
}

EstimatePoint ParsePoint(const Fields& fields) {
  EstimatePoint point;
  point.rows = 1000;
  point.variance = 1;
  for (const auto& [name, value] : fields) {
    const auto count = [text = value] { return static_cast<std::int64_t>(Number(text)); };
    if (name == "step") point.step = StepOf(value);
    if (name == "mean") point.mean = Number(value);
    if (name == "se") point.standard_error = Number(value);
    if (name == "paired") point.paired_change = Number(value);
    if (name == "paired_se") point.paired_change_standard_error = Number(value);
    if (name == "complete") point.complete = value == "true";
    if (name == "rows") point.rows = count();
    if (name == "nonfinite") point.nonfinite_rows = count();
    if (name == "duplicates") point.duplicate_rows = count();
    if (name == "variance") point.variance = Number(value);
  }
  return point;
}

class Player {
 public:
  explicit Player(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Plays one line; indented lines belong to the `course` line before them.
  void Play(const std::string& line) {
    if (line.empty() || line[0] == '#') return;
    if (line[0] == ' ') {
      rows_.push_back(Words(line));
      return;
    }
    FinishCourse();
    const std::vector<std::string> words = Words(line);
    const Fields fields = ParseFields(words);
    if (words[0] == "settings") {
      ReadSettings(fields);
    } else if (words[0] == "observe") {
      Observe(fields.at("probe"), ParsePoint(fields));
    } else if (words[0] == "scalar") {
      judge().ObserveScalar(fields.at("name"), StepOf(fields.at("step")),
                            Number(fields.at("value")));
    } else if (words[0] == "silence") {
      Print(judge().ObserveSilence(Number(fields.at("seconds"))));
    } else if (words[0] == "course") {
      course_ = fields;
    } else if (words[0] == "replay") {
      std::ifstream file(folder_ / fields.at("file"));
      if (!file) Fail("no such file", line);
      for (std::string each; std::getline(file, each);) Play(each);
    } else {
      Fail("unknown line", line);
    }
  }

  // What came of the lines since the last call.
  std::string Output() {
    FinishCourse();
    return std::exchange(output_, std::ostringstream()).str();
  }

 private:
  RunJudge& judge() {
    if (!judge_) judge_.emplace(signals_, policy_);
    return *judge_;
  }

  void ReadSettings(const Fields& fields) {
    if (judge_) throw std::invalid_argument("settings come first");
    for (const auto& [name, value] : fields) {
      if (name == "warmup") signals_.warmup = static_cast<int>(Number(value));
      if (name == "patience") signals_.patience = static_cast<int>(Number(value));
      if (name == "cooldown") signals_.cooldown = static_cast<int>(Number(value));
      if (name == "min_delta") signals_.min_delta = Number(value);
      if (name == "min_probes") policy_.min_probes = static_cast<int>(Number(value));
      if (name == "warmup_step") policy_.warmup_step = StepOf(value);
      if (name == "mode" && value == "shadow") policy_.mode = PolicyMode::kShadow;
      if (name == "mode" && value == "enforced") policy_.mode = PolicyMode::kEnforced;
      if (name != "stop_on") continue;
      policy_.stop_on.clear();
      const std::vector<std::string> kinds = absl::StrSplit(value, ',', absl::SkipEmpty());
      for (const std::string& kind : kinds) {
        policy_.stop_on.push_back(ParseSignalKind(kind).value());
      }
    }
  }

  // Columns are successive steps: of every row in turn, then the next step.
  void FinishCourse() {
    const std::vector<std::vector<std::string>> rows = std::exchange(rows_, {});
    for (std::size_t column = 1;; ++column) {
      bool any = false;
      const double step = rows.empty()
                              ? 0
                              : Number(course_.at("from")) +
                                    static_cast<double>(column - 1) * Number(course_.at("every"));
      for (const std::vector<std::string>& row : rows) {
        const std::size_t at = row[0] == "scalar" ? column + 1 : column;
        if (at >= row.size()) continue;
        any = true;
        if (row[at] == "-") continue;
        PlayCell(row, row[at], absl::StrCat(static_cast<std::int64_t>(step)));
      }
      if (!any) return;
    }
  }

  void PlayCell(const std::vector<std::string>& row, const std::string& cell,
                const std::string& step) {
    if (row[0] == "scalar") {
      judge().ObserveScalar(row[1], StepOf(step), Number(cell));
      return;
    }
    Fields fields = course_;
    fields["step"] = step;
    if (cell != "none") fields["mean"] = cell;
    Observe(row[0], ParsePoint(fields));
  }

  void Observe(const std::string& probe, const EstimatePoint& point) {
    if (probes_.insert({probe, ""}).second) {
      judge().AddProbe({probe, SplitOf(probe), probe.substr(probe.find('/') + 1)});
    }
    Print(judge().Observe(probe, point));
  }

  void Print(const Judgement& judgement) {
    for (const Signal& signal : judgement.signals) {
      output_ << signal.step.value << " " << (signal.probe.empty() ? "run" : signal.probe) << " "
              << Name(signal.kind) << " " << Name(signal.state);
      if (signal.state != SignalState::kPending) output_ << ": " << signal.reason;
      output_ << "\n";
    }
    if (!judgement.decision) return;
    const Decision& decision = *judgement.decision;
    output_ << decision.step.value << " " << Name(decision.verdict);
    if (decision.best_step) output_ << " best_step=" << decision.best_step->value;
    if (decision.mode == PolicyMode::kShadow) output_ << " (shadow)";
    output_ << ": " << decision.reason << "\n";
  }

  std::filesystem::path folder_;
  SignalSettings signals_;
  PolicySettings policy_;
  std::optional<RunJudge> judge_;
  Fields probes_;
  Fields course_;
  std::vector<std::vector<std::string>> rows_;
  std::ostringstream output_;
};

}  // namespace

std::string PlayScenario(const std::string& text, const std::filesystem::path& folder) {
  Player player(folder);
  std::istringstream lines(text);
  std::string played;
  bool expected_part = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "----") {
      absl::StrAppend(&played, line, "\n", player.Output());
      expected_part = true;
    } else if (!expected_part) {
      player.Play(line);
      absl::StrAppend(&played, line, "\n");
    } else if (line.empty()) {
      expected_part = false;
      absl::StrAppend(&played, "\n");
    }
  }
  return played;
}

}  // namespace dimwatch
