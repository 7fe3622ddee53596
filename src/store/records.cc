#include "src/store/records.h"

namespace dimwatch {
namespace {

// A row with its indexes, without the texts of the caller.
constexpr std::size_t kScalarBytes = 40;
constexpr std::size_t kEstimateBytes = 600;
constexpr std::size_t kProfileBytes = 1000;
constexpr std::size_t kOtherBytes = 300;
constexpr std::size_t kPromptBytes = 24;

}  // namespace

std::string_view Name(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "RUNNING";
    case RunState::kFinished:
      return "FINISHED";
    case RunState::kFailed:
      return "FAILED";
    case RunState::kStale:
      return "STALE";
  }
  return "";
}

std::int64_t StoredBytes(const RunChanges& changes) {
  std::size_t bytes = 0;
  for (const ScalarRecord& record : changes.scalars) bytes += kScalarBytes + 3 * record.name.size();
  for (const EstimateRecord& record : changes.estimates) {
    bytes += kEstimateBytes + 3 * record.probe.size() + (record.scale_profile ? kProfileBytes : 0);
  }
  for (const AttentionRecord& record : changes.attention) {
    bytes += kEstimateBytes + 3 * record.probe.size() + kPromptBytes * record.baseline.size();
  }
  for (const SignalRecord& record : changes.signals) {
    bytes += kOtherBytes + record.signal.reason.size();
  }
  for (const DecisionRecord& record : changes.decisions) {
    bytes += kOtherBytes + record.decision.reason.size();
  }
  bytes += kOtherBytes * (changes.rewinds.size() + changes.states.size());
  bytes += kEstimateBytes * changes.settings.size();
  return static_cast<std::int64_t>(bytes);
}

}  // namespace dimwatch
