// Runs in one SQLite file (write-ahead logging). The usual store of one server.
//
// Guaranteed:
//  1. A commit that returned OK survives kill -9. The loss of power may cost the last commits,
//  never
//     the file: the log is synchronized at checkpoints only (synchronous = NORMAL).
//  2. Reads never wait for a commit in progress; they see the last finished one.
//  3. Values come back bit for bit; times with nanoseconds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "src/store/store.h"

namespace dimwatch {

// Thread-safe. One process at a time may use a file.
class SqliteStore : public Store {
 public:
  // What Open found damaged. `message` is empty if nothing was.
  struct Recovery {
    std::string message;
    std::filesystem::path set_aside;  // where the damaged file is now
    std::int64_t rescued_runs = 0;    // copied whole from it into the new file
    std::int64_t damaged_runs = 0;    // known by name only, with RunRecord::damage
  };

  // Opens or creates `file` and the folders above it. The whole file is checked after an unclean
  // stop, and always if it has no more than 256 MiB. A file that is not a sound database is
  // renamed to FILE.damaged-<n>, what can be read of it is copied into a new one, and `recovery`
  // (unless null) says so. FAILED_PRECONDITION if the file belongs to a newer dimwatch or to
  // another program.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::filesystem::path& file,
                                                           Recovery* recovery = nullptr);
  // Copies one state of `file`, which may be in use by another process, to `to`, which must not
  // exist.
  static absl::Status Copy(const std::filesystem::path& file, const std::filesystem::path& to);
  ~SqliteStore() override;

  absl::Status Commit(const RunChanges& changes) override;
  absl::Status DeleteRun(const std::string& run_id) override;
  absl::StatusOr<bool> Purge() override;
  absl::StatusOr<std::vector<RunRecord>> LoadRuns() override;
  absl::StatusOr<std::vector<EstimateRecord>> ReadEstimates(const std::string& run_id,
                                                            const SeriesQuery& query) override;
  absl::StatusOr<std::vector<AttentionRecord>> ReadAttention(const std::string& run_id,
                                                             const SeriesQuery& query) override;
  absl::StatusOr<std::vector<ScalarRecord>> ReadScalars(const std::string& run_id,
                                                        const SeriesQuery& query) override;
  absl::StatusOr<std::vector<SignalRecord>> ReadSignals(const std::string& run_id,
                                                        std::int64_t after_cursor,
                                                        int limit) override;
  absl::StatusOr<std::vector<DecisionRecord>> ReadDecisions(const std::string& run_id,
                                                            std::int64_t after_cursor,
                                                            int limit) override;
  absl::StatusOr<std::vector<SettingsRecord>> ReadSettings(const std::string& run_id,
                                                           std::int64_t after_cursor,
                                                           int limit) override;
  absl::StatusOr<std::vector<EventRecord>> ReadEvents(const std::string& run_id,
                                                      std::int64_t after_cursor,
                                                      int limit) override;

 private:
  class Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  static absl::StatusOr<std::unique_ptr<SqliteStore>> OpenSound(const std::filesystem::path& file);
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Replace(const std::filesystem::path& damaged,
                                                              const absl::Status& damage,
                                                              Recovery& recovery);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dimwatch
