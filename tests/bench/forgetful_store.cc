// A log and a store that keep nothing: linked before the real ones, they make the server that
// durability_bench.cc compares with.
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/store/sample_log.h"
#include "src/store/sqlite_store.h"

namespace dimwatch {

class SampleLog::Impl {};

SampleLog::SampleLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SampleLog::~SampleLog() = default;

absl::StatusOr<std::unique_ptr<SampleLog>> SampleLog::Open(
    const std::filesystem::path& /*folder*/, const std::function<void(IngestItem)>& /*replay*/,
    Recovery* recovery) {
  *recovery = {.items = 0, .last_seq = 0};
  return std::unique_ptr<SampleLog>(new SampleLog(nullptr));
}

absl::Status SampleLog::Append(const IngestItem& /*item*/) { return absl::OkStatus(); }
absl::Status SampleLog::Trim(std::int64_t /*first_needed_seq*/) { return absl::OkStatus(); }
std::int64_t SampleLog::bytes() const { return 0; }

class SqliteStore::Impl {};

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(
    const std::filesystem::path& /*file*/, Recovery* /*recovery*/) {
  return std::unique_ptr<SqliteStore>(new SqliteStore(nullptr));
}

absl::Status SqliteStore::Commit(const RunChanges& /*changes*/) { return absl::OkStatus(); }
absl::Status SqliteStore::DeleteRun(const std::string& /*run_id*/) { return absl::OkStatus(); }
absl::StatusOr<bool> SqliteStore::Purge() { return false; }
absl::StatusOr<std::vector<RunRecord>> SqliteStore::LoadRuns() { return std::vector<RunRecord>(); }

absl::StatusOr<std::vector<EstimateRecord>> SqliteStore::ReadEstimates(const std::string&,
                                                                       const SeriesQuery&) {
  return std::vector<EstimateRecord>();
}
absl::StatusOr<std::vector<AttentionRecord>> SqliteStore::ReadAttention(const std::string&,
                                                                        const SeriesQuery&) {
  return std::vector<AttentionRecord>();
}
absl::StatusOr<std::vector<ScalarRecord>> SqliteStore::ReadScalars(const std::string&,
                                                                   const SeriesQuery&) {
  return std::vector<ScalarRecord>();
}
absl::StatusOr<std::vector<SignalRecord>> SqliteStore::ReadSignals(const std::string&, std::int64_t,
                                                                   int) {
  return std::vector<SignalRecord>();
}
absl::StatusOr<std::vector<DecisionRecord>> SqliteStore::ReadDecisions(const std::string&,
                                                                       std::int64_t, int) {
  return std::vector<DecisionRecord>();
}
absl::StatusOr<std::vector<SettingsRecord>> SqliteStore::ReadSettings(const std::string&,
                                                                      std::int64_t, int) {
  return std::vector<SettingsRecord>();
}
absl::StatusOr<std::vector<EventRecord>> SqliteStore::ReadEvents(const std::string&, std::int64_t,
                                                                 int) {
  return std::vector<EventRecord>();
}

}  // namespace dimwatch
