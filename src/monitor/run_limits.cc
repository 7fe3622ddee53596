// The part of RunActor that keeps within limits: what has no room, what has to wait, and what is
// averaged over fewer points. What is decided here of an item is logged with it.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/quota_error.h"
#include "src/monitor/run_actor.h"

namespace dimwatch {
namespace {

// No fewer queries are left to an estimate: enough to know both parts of its error.
constexpr double kMinQueries = 256;

constexpr absl::Duration kQuotaRetry = absl::Minutes(1);

// In its window, decoded; of attention maps next to nothing is kept.
std::int64_t WindowBytesOf(const IngestItem& item) {
  const auto* samples = std::get_if<SampleItem>(&item);
  if (samples == nullptr) return 0;
  return samples->rows * samples->dim * static_cast<std::int64_t>(sizeof(float));
}

// What is left of the whole when `used` goes from `soft` to `hard`: 1 to 0.
double LeftBetween(std::int64_t soft, std::int64_t hard, std::int64_t used) {
  if (used <= soft) return 1;
  if (used >= hard) return 0;
  return static_cast<double>(hard - used) / static_cast<double>(hard - soft);
}

// A batch of samples or of attention maps, seen alike.
struct BatchRef {
  const std::string& probe;
  Step step;
  bool snapshot_end = false;
  std::int64_t& rows;  // or prompts
  std::int64_t& dropped;
};
std::optional<BatchRef> BatchOf(IngestItem& item) {
  if (auto* samples = std::get_if<SampleItem>(&item)) {
    return BatchRef{samples->probe, samples->step, samples->snapshot_end, samples->rows,
                    samples->dropped_rows};
  }
  auto* attention = std::get_if<AttentionItem>(&item);
  if (attention == nullptr) return std::nullopt;
  return BatchRef{attention->probe, attention->step, attention->snapshot_end, attention->prompts,
                  attention->dropped_prompts};
}

// Leaves of a batch that its rows are missing.
void Strip(IngestItem& item) {
  const BatchRef batch = *BatchOf(item);
  batch.dropped += std::exchange(batch.rows, 0);
  if (auto* samples = std::get_if<SampleItem>(&item)) {
    samples->data.clear();
    samples->sample_ids.clear();
  } else {
    auto& attention = std::get<AttentionItem>(item);
    attention.data.clear();
    attention.dimensions.clear();
    attention.prompt_ids.clear();
    attention.first_positions.clear();
    attention.query_positions.clear();
  }
}

}  // namespace

absl::Status RunActor::NoteRefused(IngestItem item) {
  const std::optional<BatchRef> batch = BatchOf(item);
  if (!batch) return absl::OkStatus();
  const auto [entry, fresh] = refused_.try_emplace(batch->probe);
  Refused& refused = entry->second;
  const bool same = refused.step == batch->step || admission_->Rolls(batch->probe);
  if (fresh || !same) refused = {batch->step};
  // What is refused takes no room: at most twice a step, and only where a part of it was taken.
  if (admission_->IsOpen(batch->probe, batch->step) && (!refused.logged || batch->snapshot_end)) {
    refused.logged = true;
    Strip(item);
    batch->dropped += std::exchange(refused.rows, 0);
    return Take(std::move(item));
  }
  refused.rows += batch->rows;
  return absl::OkStatus();
}

void RunActor::AddRefused(IngestItem& item) {
  const std::optional<BatchRef> batch = BatchOf(item);
  if (!batch) return;
  const auto refused = refused_.find(batch->probe);
  if (refused == refused_.end()) return;
  if (refused->second.step == batch->step || admission_->Rolls(batch->probe)) {
    batch->dropped += refused->second.rows;
  }
  refused_.erase(refused);
}

absl::Status RunActor::CheckRoom(const IngestItem& item) const {
  const Quota quota = usage_.project().quota();
  const std::int64_t probes = usage_.project().of(Resource::kProbes);
  if (quota.max_probes > 0 && probes >= quota.max_probes && admission_->AddsProbe(item)) {
    return QuotaExceeded("max_probes",
                         absl::StrCat("the runs of the project have ", probes,
                                      " probes; allowed are ", quota.max_probes, " in all"),
                         kQuotaRetry);
  }
  const std::int64_t disk = usage_.project().of(Resource::kDiskBytes);
  if (quota.max_disk_bytes > 0 && disk >= quota.max_disk_bytes) {
    return QuotaExceeded("max_disk_bytes",
                         absl::StrCat("the project has ", disk, " bytes on disk; allowed are ",
                                      quota.max_disk_bytes, ": delete runs of it"),
                         kQuotaRetry);
  }
  if (std::holds_alternative<ScalarItem>(item) || std::holds_alternative<DeclarationItem>(item)) {
    return absl::OkStatus();
  }
  return CheckMemory(*context_.usage, BytesOf(item) + WindowBytesOf(item),
                     context_.options.hard_memory_bytes);
}

void RunActor::Ration(SampleItem& item) {
  const EstimateWork work = admission_->WorkOf(item);
  if (work.queries == 0) return;
  const std::int64_t max_queued = context_.options.max_queued_bytes_per_run;
  double allowed = work.queries;
  const auto allow = [&](double queries, Scarcity scarcity) {
    queries = std::max(queries, kMinQueries);
    if (queries >= allowed) return;
    allowed = queries;
    item.scarcity = scarcity;
  };
  if (work.can_be_sampled) {
    const double queue = LeftBetween(max_queued / 2, max_queued, usage_.of(Resource::kQueuedBytes));
    const double memory =
        LeftBetween(context_.options.soft_memory_bytes, context_.options.hard_memory_bytes,
                    context_.usage->memory_bytes());
    allow(queue * work.queries, Scarcity::kQueue);
    allow(memory * work.queries, Scarcity::kMemory);
  }
  if (usage_.project().quota().compute_per_minute > 0) {
    const absl::Duration now = context_.clock.Monotonic();
    if (work.can_be_sampled) {
      allow(usage_.project().ComputeLeft(now) / work.per_query, Scarcity::kCompute);
    }
    usage_.project().TakeCompute(allowed * work.per_query, now);
  }
  if (item.scarcity != Scarcity::kNone) item.max_queries = static_cast<std::int64_t>(allowed);
}

bool RunActor::MustWait(double share) const {
  const auto beyond = [share](std::int64_t used, std::int64_t limit) {
    return static_cast<double>(used) > share * static_cast<double>(limit);
  };
  const std::int64_t queued = usage_.of(Resource::kQueuedBytes);
  if (beyond(queued, context_.options.max_queued_bytes_per_run)) return true;
  // Windows do not empty while their jobs wait: one item at a time goes on.
  if (queued > 0 && context_.usage->memory_bytes() > context_.options.soft_memory_bytes)
    return true;
  ProjectUsage& project = usage_.project();
  const Quota quota = project.quota();
  if (quota.max_queue_bytes > 0 &&
      beyond(project.of(Resource::kQueuedBytes), quota.max_queue_bytes)) {
    return true;
  }
  return quota.compute_per_minute > 0 &&
         project.ComputeLeft(context_.clock.Monotonic()) < -share * quota.compute_per_minute;
}

void RunActor::LetGoOn() {
  constexpr double kRoom = 0.5;
  if (!session_waits_ || MustWait(kRoom)) return;
  session_waits_ = false;
  if (session_) session_->PostRoom();
}

void RunActor::NoteDisk() {
  usage_.Set(Resource::kDiskBytes, view()->run.stored_bytes + (log_ ? log_->bytes() : 0));
}

}  // namespace dimwatch
