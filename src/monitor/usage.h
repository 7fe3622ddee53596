// What runs, and clouds beside them, use of the server, by project, and what projects may.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dimwatch {

enum class Resource { kRuns, kProbes, kQueuedBytes, kWindowBytes, kCloudBytes, kDiskBytes };
inline constexpr std::size_t kResources = 6;

// Limits of a project; 0: none.
struct Quota {
  std::int64_t max_runs = 0;         // that have not ended
  std::int64_t max_probes = 0;       // of these runs together
  std::int64_t max_queue_bytes = 0;  // items that wait for estimates; beyond it jobs have to wait
  std::int64_t max_disk_bytes = 0;   // logs and records of all its runs
  // Rows that arrive x points that each is compared with x components, a minute.
  double compute_per_minute = 0;
  friend bool operator==(const Quota&, const Quota&) = default;
};

struct Quotas {
  Quota by_default;
  std::map<std::string, Quota> of_project;

  const Quota& Of(const std::string& project) const;
};

// Thread-safe.
class Amounts {
 public:
  std::int64_t of(Resource resource) const { return amounts_[Index(resource)]; }
  void Add(Resource resource, std::int64_t amount) { amounts_[Index(resource)] += amount; }
  // Returns what it was.
  std::int64_t Set(Resource resource, std::int64_t amount) {
    return amounts_[Index(resource)].exchange(amount);
  }

 private:
  static std::size_t Index(Resource resource) { return static_cast<std::size_t>(resource); }
  std::array<std::atomic<std::int64_t>, kResources> amounts_{};
};

// One project. Thread-safe.
class ProjectUsage {
 public:
  Quota quota() const;
  void SetQuota(const Quota& quota);
  std::int64_t of(Resource resource) const { return amounts_.of(resource); }
  // Of this minute's compute; negative where more was begun than is allowed. Meaningless without a
  // quota. `now` never goes back.
  double ComputeLeft(absl::Duration now);
  // False without a quota.
  bool OwesCompute(absl::Duration now);
  void TakeCompute(double compute, absl::Duration now);
  void CountRefusal(const std::string& quota);
  std::map<std::string, std::int64_t> refusals() const;  // by quota

 private:
  friend class UsageShare;
  // REQUIRES: the mutex is held.
  void Refill(absl::Duration now);

  Amounts amounts_;
  mutable std::mutex mutex_;
  Quota quota_;                                   // guarded by mutex_
  double left_ = 0;                               // guarded by mutex_
  absl::Duration left_at_;                        // guarded by mutex_
  std::map<std::string, std::int64_t> refusals_;  // guarded by mutex_
};

// The whole server. Thread-safe.
class ServerUsage {
 public:
  std::int64_t of(Resource resource) const { return amounts_.of(resource); }
  // Of samples, decoded and not: windows, queues and clouds.
  std::int64_t memory_bytes() const {
    return of(Resource::kWindowBytes) + of(Resource::kQueuedBytes) + of(Resource::kCloudBytes);
  }
  std::shared_ptr<ProjectUsage> Of(const std::string& project);
  void SetQuotas(Quotas quotas);
  // Drops projects that nobody has held for so long, and that have owed no compute for so long.
  void ForgetUnused(absl::Duration now, absl::Duration linger);
  // All projects that there is or was something of, by name.
  void Visit(const std::function<void(const std::string&, const ProjectUsage&)>& visit) const;

 private:
  friend class UsageShare;
  Amounts amounts_;
  struct Known {
    std::shared_ptr<ProjectUsage> usage;
    std::optional<absl::Duration> unused_since;
  };
  mutable std::mutex mutex_;
  Quotas quotas_;                          // guarded by mutex_
  std::map<std::string, Known> projects_;  // guarded by mutex_
};

// Whether there is room for so many bytes more: RESOURCE_EXHAUSTED naming "max_memory_bytes".
absl::Status CheckMemory(const ServerUsage& usage, std::int64_t more, std::int64_t allowed);

// What one run, or one cloud, uses; gives it back when it goes. Thread-safe.
class UsageShare {
 public:
  UsageShare(std::shared_ptr<ServerUsage> server, const std::string& project)
      : server_(std::move(server)), project_(server_->Of(project)) {}
  ~UsageShare() { Clear(); }
  UsageShare(const UsageShare&) = delete;
  UsageShare& operator=(const UsageShare&) = delete;

  ProjectUsage& project() const { return *project_; }
  std::int64_t of(Resource resource) const { return own_.of(resource); }
  void Set(Resource resource, std::int64_t amount);
  void Add(Resource resource, std::int64_t amount);
  void Clear();

 private:
  const std::shared_ptr<ServerUsage> server_;
  const std::shared_ptr<ProjectUsage> project_;
  Amounts own_;
};

}  // namespace dimwatch
