#include "src/monitor/usage.h"

#include <algorithm>
#include <utility>

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

void ProjectUsage::TakeCompute(double compute, absl::Duration now) {
  const std::lock_guard lock(mutex_);
  Refill(now);
  left_ -= compute;
}

void ProjectUsage::Refill(absl::Duration now) {
  const double minutes = absl::ToDoubleMinutes(now - std::exchange(left_at_, now));
  left_ = std::min(quota_.compute_per_minute, left_ + minutes * quota_.compute_per_minute);
}

std::shared_ptr<ProjectUsage> ServerUsage::Of(const std::string& project) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<ProjectUsage>& usage = projects_[project];
  if (usage == nullptr) {
    usage = std::make_shared<ProjectUsage>();
    usage->SetQuota(quotas_.Of(project));
  }
  return usage;
}

void ServerUsage::SetQuotas(Quotas quotas) {
  const std::lock_guard lock(mutex_);
  quotas_ = std::move(quotas);
  for (const auto& [name, project] : projects_) project->SetQuota(quotas_.Of(name));
}

void ServerUsage::Visit(
    const std::function<void(const std::string&, const ProjectUsage&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, project] : projects_) visit(name, *project);
}

void RunUsage::Set(Resource resource, std::int64_t amount) {
  const std::int64_t more = amount - own_.Set(resource, amount);
  project_->amounts_.Add(resource, more);
  server_->amounts_.Add(resource, more);
}

void RunUsage::Add(Resource resource, std::int64_t amount) {
  own_.Add(resource, amount);
  project_->amounts_.Add(resource, amount);
  server_->amounts_.Add(resource, amount);
}

void RunUsage::Clear() {
  for (std::size_t i = 0; i < kResources; ++i) Set(static_cast<Resource>(i), 0);
}

}  // namespace dimwatch
