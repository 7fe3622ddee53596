#include "src/monitor/usage.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/quota_error.h"

namespace dimwatch {

const Quota& Quotas::Of(const std::string& project) const {
  const auto own = of_project.find(project);
  return own == of_project.end() ? by_default : own->second;
}

Quota ProjectUsage::quota() const {
  const std::lock_guard lock(mutex_);
  return quota_;
}

void ProjectUsage::SetQuota(const Quota& quota) {
  const std::lock_guard lock(mutex_);
  if (quota.compute_per_minute != quota_.compute_per_minute) left_ = quota.compute_per_minute;
  quota_ = quota;
}

double ProjectUsage::ComputeLeft(absl::Duration now) {
  const std::lock_guard lock(mutex_);
  Refill(now);
  return left_;
}

bool ProjectUsage::OwesCompute(absl::Duration now) {
  const std::lock_guard lock(mutex_);
  Refill(now);
  return quota_.compute_per_minute > 0 && left_ < 0;
}

void ProjectUsage::TakeCompute(double compute, absl::Duration now) {
  const std::lock_guard lock(mutex_);
  Refill(now);
  left_ -= compute;
}

void ProjectUsage::Refill(absl::Duration now) {
  const double minutes = absl::ToDoubleMinutes(now - std::exchange(left_at_, now));
  left_ = std::min(quota_.compute_per_minute, left_ + minutes * quota_.compute_per_minute);
}

void ProjectUsage::CountRefusal(const std::string& quota) {
  const std::lock_guard lock(mutex_);
  ++refusals_[quota];
}

std::map<std::string, std::int64_t> ProjectUsage::refusals() const {
  const std::lock_guard lock(mutex_);
  return refusals_;
}

std::shared_ptr<ProjectUsage> ServerUsage::Of(const std::string& project) {
  const std::lock_guard lock(mutex_);
  Known& known = projects_[project];
  known.unused_since.reset();
  if (known.usage == nullptr) {
    known.usage = std::make_shared<ProjectUsage>();
    known.usage->SetQuota(quotas_.Of(project));
  }
  return known.usage;
}

void ServerUsage::ForgetUnused(absl::Duration now, absl::Duration linger) {
  const std::lock_guard lock(mutex_);
  for (auto& [name, known] : projects_) {
    if (known.usage.use_count() > 1 || known.usage->OwesCompute(now)) {
      known.unused_since.reset();
    } else if (!known.unused_since) {
      known.unused_since = now;
    }
  }
  std::erase_if(projects_, [&](const auto& entry) {
    const std::optional<absl::Duration>& since = entry.second.unused_since;
    return since && now - *since > linger;
  });
}

void ServerUsage::SetQuotas(Quotas quotas) {
  const std::lock_guard lock(mutex_);
  quotas_ = std::move(quotas);
  for (const auto& [name, project] : projects_) project.usage->SetQuota(quotas_.Of(name));
}

void ServerUsage::Visit(
    const std::function<void(const std::string&, const ProjectUsage&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, project] : projects_) visit(name, *project.usage);
}

absl::Status CheckMemory(const ServerUsage& usage, std::int64_t more, std::int64_t allowed) {
  constexpr absl::Duration kRetry = absl::Seconds(10);
  const std::int64_t used = usage.memory_bytes();
  if (more <= allowed - used) return absl::OkStatus();
  return QuotaExceeded("max_memory_bytes",
                       absl::StrCat("windows, queues and clouds take ", used, " bytes; ", more,
                                    " more are needed; allowed are ", allowed),
                       kRetry);
}

void UsageShare::Set(Resource resource, std::int64_t amount) {
  const std::int64_t more = amount - own_.Set(resource, amount);
  project_->amounts_.Add(resource, more);
  server_->amounts_.Add(resource, more);
}

void UsageShare::Add(Resource resource, std::int64_t amount) {
  own_.Add(resource, amount);
  project_->amounts_.Add(resource, amount);
  server_->amounts_.Add(resource, amount);
}

void UsageShare::Clear() {
  for (std::size_t i = 0; i < kResources; ++i) Set(static_cast<Resource>(i), 0);
}

}  // namespace dimwatch
