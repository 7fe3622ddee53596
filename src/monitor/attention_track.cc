#include "src/monitor/attention_track.h"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/attention/attended.h"

namespace dimwatch {
namespace {

// Why the estimate is not to be compared with others; empty for a complete one.
std::string IncompleteReason(const AttentionEstimate& estimate, std::int64_t dropped) {
  if (!estimate.standard_error) {
    return absl::StrCat(estimate.prompts, " valid prompts; at least 2 are needed");
  }
  if (dropped > 0) return absl::StrCat(dropped, " prompts were dropped by the client, or refused");
  return "";
}

// ID_eps of each prompt of a batch; none of an invalid one.
std::vector<std::optional<std::int64_t>> DimensionsOf(const AttentionItem& item,
                                                      const AttentionSettings& settings) {
  if (!item.dimensions.empty()) return {item.dimensions.begin(), item.dimensions.end()};
  if (item.data.empty()) return {};
  auto counted = CountAttended(AttentionRowsOf(item), settings);
  assert(counted.ok());  // the item was admitted
  return *std::move(counted);
}

}  // namespace

AttentionTrack::AttentionTrack(ProbeSettings settings, const Clock& clock)
    : settings_(std::move(settings)), clock_(clock) {
  assert(settings_.attention);
}

AttentionTrack::Update AttentionTrack::Add(const AttentionItem& item) {
  Taken taken = Take(item);
  Update update{
      .rewound_to = taken.rewound_to, .estimates = {}, .invalid_prompts = taken.invalid_prompts};
  if (taken.rewound_to) Void(*taken.rewound_to);
  for (OpenStep& closed : taken.closed) update.estimates.push_back(Estimate(std::move(closed)));
  return update;
}

std::optional<AttentionRecord> AttentionTrack::Close() {
  if (!open_) return std::nullopt;
  return Estimate(*std::exchange(open_, std::nullopt));
}

void AttentionTrack::RestoreEstimate(AttentionRecord record) {
  newest_ = record.step;
  if (!record.baseline.empty()) baseline_ = Baseline{record.step, record.baseline};
  latest_ = std::move(record);
}

void AttentionTrack::Refill(const AttentionItem& item) { Take(item); }

std::optional<std::int64_t> AttentionTrack::first_needed_seq() const {
  return open_ ? std::optional(open_->first_seq) : std::nullopt;
}

std::int64_t AttentionTrack::bytes() const {
  std::size_t prompts = 0;
  if (open_) prompts += open_->prompts.capacity();
  if (baseline_) prompts += baseline_->prompts.capacity();
  return static_cast<std::int64_t>(prompts * sizeof(PromptDimension));
}

AttentionTrack::Taken AttentionTrack::Take(const AttentionItem& item) {
  Taken taken;
  const bool goes_back = newest_ && (item.step < *newest_ || (item.step == *newest_ && !open_));
  if (goes_back) {
    open_.reset();
    taken.rewound_to = item.step;
  } else if (open_ && item.step > open_->step) {
    taken.closed.push_back(*std::exchange(open_, std::nullopt));
  }
  newest_ = item.step;
  settings_.attention->heads = static_cast<int>(item.heads);
  if (!open_) open_ = OpenStep{.step = item.step, .first_seq = item.seq, .prompts = {}};
  const std::int64_t invalid_before = open_->invalid;
  AddPrompts(item, *open_);
  taken.invalid_prompts = open_->invalid - invalid_before;
  if (item.snapshot_end) taken.closed.push_back(*std::exchange(open_, std::nullopt));
  return taken;
}

void AttentionTrack::AddPrompts(const AttentionItem& item, OpenStep& open) const {
  open.invalid += item.invalid_prompts;
  open.dropped += item.dropped_prompts;
  const auto dimensions = DimensionsOf(item, *settings_.attention);
  const bool has_ids = !item.prompt_ids.empty();
  open.all_have_ids = open.all_have_ids && (has_ids || dimensions.empty());
  for (std::size_t i = 0; i < dimensions.size(); ++i) {
    if (dimensions[i]) {
      open.prompts.push_back({has_ids ? item.prompt_ids[i] : 0, *dimensions[i]});
    } else {
      ++open.invalid;
    }
  }
}

void AttentionTrack::Void(Step step) {
  if (baseline_ && baseline_->step >= step) baseline_.reset();
  if (latest_ && latest_->step >= step) latest_.reset();
}

AttentionRecord AttentionTrack::Estimate(OpenStep closed) {
  AttentionRecord record;
  record.probe = settings_.identity.name;
  record.step = closed.step;
  record.estimate = EstimateAttention(closed.prompts, closed.invalid, *settings_.attention);
  record.incomplete_reason = IncompleteReason(record.estimate, closed.dropped);
  record.complete = record.incomplete_reason.empty();
  CompareWithBaseline(std::move(closed), record);
  record.create_time = clock_.Now();
  latest_ = record;
  return record;
}

void AttentionTrack::CompareWithBaseline(OpenStep closed, AttentionRecord& record) {
  if (!closed.all_have_ids) return;
  SortByPrompt(closed.prompts);
  if (baseline_) {
    record.baseline_step = baseline_->step;
    record.baseline_change = CompareAttention(baseline_->prompts, closed.prompts);
  } else if (record.complete) {
    record.baseline_step = record.step;
    record.baseline = closed.prompts;
    baseline_ = Baseline{record.step, std::move(closed.prompts)};
  }
}

}  // namespace dimwatch
