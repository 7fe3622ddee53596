#include "src/monitor/stored_run.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>
#include <variant>

namespace dimwatch {
namespace {

constexpr int kPage = 1000;

std::int64_t CursorOf(const EventRecord& event) {
  return std::visit([](const auto& record) { return record.cursor; }, event);
}

// All records of a paged reader `read(after, limit)`, where the key of a record is what `after` is.
template <typename Record, typename Key, typename Read, typename KeyOf>
absl::StatusOr<std::vector<Record>> ReadAll(Key after, const Read& read, const KeyOf& key_of) {
  std::vector<Record> all;
  while (true) {
    absl::StatusOr<std::vector<Record>> page = read(after, kPage);
    if (!page.ok()) return page.status();
    if (page->empty()) return all;
    after = key_of(page->back());
    const bool last = page->size() < static_cast<std::size_t>(kPage);
    std::ranges::move(*page, std::back_inserter(all));
    if (last) return all;
  }
}

// The records of a series from a step on that is late enough to keep the work small and early
// enough to get `enough` of them: the look back doubles until it does, or reaches the beginning.
template <typename Record, typename Read>
absl::StatusOr<std::vector<Record>> ReadTail(const std::string& name, Step last, std::size_t enough,
                                             const Read& read) {
  for (std::int64_t back = 1;; back *= 2) {
    const bool whole = back > last.value;
    SeriesQuery query;
    query.name = name;
    if (!whole) query.min_step = Step{last.value - back};
    using After = std::optional<std::pair<Step, std::string>>;
    absl::StatusOr<std::vector<Record>> tail = ReadAll<Record, After>(
        std::nullopt,
        [&](const After& after, int limit) {
          query.after = after;
          query.limit = limit;
          return read(query);
        },
        [](const Record& record) -> After {
          if constexpr (std::is_same_v<Record, ScalarRecord>) {
            return std::pair(record.step, record.name);
          } else {
            return std::pair(record.step, record.probe);
          }
        });
    if (!tail.ok() || whole || tail->size() >= enough) return tail;
  }
}

absl::Status ReadJudgement(Store& store, RunView& view) {
  const auto cursor_of = [](const auto& record) { return record.cursor; };
  const auto signals = ReadAll<SignalRecord, std::int64_t>(
      0, [&](auto after, int limit) { return store.ReadSignals(view.run.run_id, after, limit); },
      cursor_of);
  if (!signals.ok()) return signals.status();
  std::map<std::pair<std::string, SignalKind>, Signal> newest;
  for (const SignalRecord& record : *signals) {
    newest[{record.signal.probe, record.signal.kind}] = record.signal;
  }
  for (auto& [key, signal] : newest) {
    if (signal.state != SignalState::kInactive) view.signals.push_back(std::move(signal));
  }
  const auto decisions = ReadAll<DecisionRecord, std::int64_t>(
      0, [&](auto after, int limit) { return store.ReadDecisions(view.run.run_id, after, limit); },
      cursor_of);
  if (!decisions.ok()) return decisions.status();
  if (decisions->empty()) return absl::OkStatus();
  view.decision = decisions->back().decision;
  view.decision_time = decisions->back().create_time;
  return absl::OkStatus();
}

absl::Status ReadLatest(Store& store, RunView& view) {
  if (!view.run.last_step) return absl::OkStatus();
  const std::string& run_id = view.run.run_id;
  for (const bool profiles : {false, true}) {
    for (const ProbeSettings& probe : view.run.probes) {
      if (probe.attention || (profiles && probe.scale_every == 0)) continue;
      auto tail = ReadTail<EstimateRecord>(probe.identity.name, *view.run.last_step, 1,
                                           [&](SeriesQuery query) {
                                             query.with_scale_profile = profiles;
                                             return store.ReadEstimates(run_id, query);
                                           });
      if (!tail.ok()) return tail.status();
      auto& latest = profiles ? view.latest_profiles : view.latest_estimates;
      if (!tail->empty()) latest.push_back(std::move(tail->back()));
    }
  }
  for (const ProbeSettings& probe : view.run.probes) {
    if (!probe.attention) continue;
    auto tail = ReadTail<AttentionRecord>(
        probe.identity.name, *view.run.last_step, 1,
        [&](const SeriesQuery& query) { return store.ReadAttention(run_id, query); });
    if (!tail.ok()) return tail.status();
    if (!tail->empty()) view.latest_attention.push_back(std::move(tail->back()));
  }
  auto tail = ReadTail<ScalarRecord>(
      "", *view.run.last_step, static_cast<std::size_t>(kPage),
      [&](const SeriesQuery& query) { return store.ReadScalars(run_id, query); });
  if (!tail.ok()) return tail.status();
  std::map<std::string, ScalarRecord> newest;
  for (ScalarRecord& record : *tail) newest[record.name] = std::move(record);
  for (auto& [name, record] : newest) view.latest_scalars.push_back(std::move(record));
  return absl::OkStatus();
}

constexpr const char* kDeleted = "deleted-";

std::filesystem::path FolderOf(const std::filesystem::path& logs, std::string name) {
  std::ranges::replace(name, '/', '+');
  return logs / name;
}

}  // namespace

std::filesystem::path LogFolder(const std::filesystem::path& logs, const std::string& run_id) {
  return FolderOf(logs, "run-" + run_id);
}

std::filesystem::path DeletedLogFolder(const std::filesystem::path& logs,
                                       const std::string& run_id) {
  return FolderOf(logs, kDeleted + run_id);
}

void TidyLogs(const std::filesystem::path& logs, const std::vector<RunRecord>& runs) {
  std::error_code error;  // what is left over is tried again at the next start
  for (const RunRecord& run : runs) {
    const std::filesystem::path live = LogFolder(logs, run.run_id);
    const std::filesystem::path deleted = DeletedLogFolder(logs, run.run_id);
    if (std::filesystem::exists(deleted, error) && !std::filesystem::exists(live, error)) {
      std::filesystem::rename(deleted, live, error);
    }
    if (run.end_time) std::filesystem::remove_all(live, error);
  }
  std::vector<std::filesystem::path> gone;
  for (const auto& entry : std::filesystem::directory_iterator(logs, error)) {
    if (entry.path().filename().string().starts_with(kDeleted)) gone.push_back(entry.path());
  }
  for (const std::filesystem::path& folder : gone) std::filesystem::remove_all(folder, error);
}

absl::StatusOr<std::vector<EventRecord>> ReadHistory(Store& store, const std::string& run_id) {
  return ReadAll<EventRecord, std::int64_t>(
      0, [&](auto after, int limit) { return store.ReadEvents(run_id, after, limit); }, CursorOf);
}

RunView StoredView(Store& store, RunRecord run) {
  RunView view;
  view.decision.mode = run.policy.mode;
  view.decision_time = run.create_time;
  view.run = std::move(run);
  absl::Status status = ReadJudgement(store, view);
  if (status.ok()) status = ReadLatest(store, view);
  if (!status.ok() && view.run.damage.empty()) view.run.damage = std::string(status.message());
  return view;
}

}  // namespace dimwatch
