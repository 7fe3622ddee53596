#include "client/cli/watch_view.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "client/cli/attention_text.h"
#include "client/cli/json.h"
#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

constexpr std::size_t kSparklineWidth = 32;
constexpr std::size_t kShownSignals = 6;

// Cuts every line to `columns`, so that none wraps, and the block to `lines`, so that none scrolls
// away: the next block is drawn over it.
std::string Cut(const std::string& block, std::size_t columns, std::size_t lines) {
  std::string cut;
  std::size_t width = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (block[i] == '\x1b') {  // a color: no width, always kept
      const std::size_t end = std::min(block.find('m', i), block.size() - 1);
      cut.append(block, i, end - i + 1);
      i = end;
      continue;
    }
    if (block[i] == '\n') {
      width = 0;
      if (lines-- == 1) return cut + "\n";
    } else if ((static_cast<unsigned char>(block[i]) & 0xC0) != 0x80) {
      ++width;
    }
    if (width <= columns) cut += block[i];
  }
  return cut;
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

}  // namespace

void WatchView::Apply(const v1::WatchRunResponse& event) {
  if (event.has_estimate()) {
    const v1::Estimate& estimate = event.estimate();
    Probe& probe = probes_[estimate.probe()];
    probe.means.emplace_back(estimate.step(),
                             estimate.has_mean() ? std::optional(estimate.mean()) : std::nullopt);
    probe.newest = estimate;
  } else if (event.has_attention()) {
    attention_[event.attention().probe()] = event.attention();
  } else if (event.has_signal()) {
    signals_.push_back(event.signal());
    if (signals_.size() > kShownSignals) signals_.pop_front();
  } else if (event.has_decision()) {
    decision_ = event.decision();
  } else if (event.has_scalars()) {
    for (const auto& [name, value] : event.scalars().values()) {
      scalars_[name] = {event.scalars().step(), value};
    }
  } else if (event.has_rewind()) {
    Rewind(event.rewind());
  } else if (event.event_case() == v1::WatchRunResponse::kState) {
    state_ = event.state();
  }
}

void WatchView::Rewind(const v1::Rewind& rewind) {
  scalars_.erase(rewind.scalar());
  const auto probe = probes_.find(rewind.probe());
  if (probe == probes_.end()) return;
  std::erase_if(probe->second.means, [&](const auto& mean) { return mean.first >= rewind.step(); });
}

std::string WatchView::Draw(bool colored, std::size_t columns, std::size_t lines) const {
  std::string block = "run " + run_id_ + "  " + EnumName(state_) + "\n\n";
  std::vector<std::string> header = EstimateHeader();
  header.insert(header.begin() + 3, "COURSE");
  Table table(std::move(header));
  for (const auto& [name, probe] : probes_) {
    std::vector<std::optional<double>> means;
    for (const auto& [step, mean] : probe.means) means.push_back(mean);
    std::vector<std::string> cells = EstimateCells(probe.newest);
    cells.insert(cells.begin() + 3, Sparkline(means, kSparklineWidth));
    table.Add(std::move(cells));
  }
  block += table.ToString(colored) + "\n";
  for (const auto& [name, estimate] : attention_) {
    block += AttentionLine(FromProto(estimate)) + "\n";
  }
  if (!attention_.empty()) block += "\n";
  for (const auto& [name, point] : scalars_) {
    block += name + " = " + Number(point.second) + " at step " + std::to_string(point.first) + "\n";
  }
  if (!scalars_.empty()) block += "\n";
  for (const v1::Signal& signal : signals_) block += SignalText(signal, colored) + "\n";
  if (!signals_.empty()) block += "\n";
  if (decision_.verdict() != v1::VERDICT_UNSPECIFIED) {
    block += Colored(DecisionText(decision_), ColorOf(decision_.verdict()), colored) + "\n";
  }
  return Cut(block, columns, lines);
}

std::string Redraw(const std::string& block, std::size_t previous_lines) {
  std::string text;
  if (previous_lines > 0) text += "\x1b[" + std::to_string(previous_lines) + "A";
  text += "\r\x1b[J";  // clears from here to the end of the screen
  return text + block;
}

}  // namespace dimwatch::cli
