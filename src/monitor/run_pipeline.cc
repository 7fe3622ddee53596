#include "src/monitor/run_pipeline.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <variant>

#include "src/monitor/attention_track.h"
#include "src/monitor/history.h"
#include "src/monitor/probe_track.h"
#include "src/signal/judge.h"

namespace dimwatch {

class RunPipeline::Impl {
 public:
  Impl(RunRecord run, ThreadPool& pool, const Clock& clock, const EngineCosts& costs)
      : run_(std::move(run)),
        pool_(pool),
        clock_(clock),
        costs_(costs),
        judge_(JudgeHistory(run_, {})),
        decision_time_(run_.create_time) {
    for (const ProbeSettings& probe : run_.probes) AddTrack(probe);
  }

  void Restore(const std::vector<EventRecord>& history) {
    judge_ = JudgeHistory(run_, history);
    for (const EventRecord& event : history) {
      std::visit([this](const auto& record) { Remember(record); }, event);
    }
  }

  std::optional<RunChanges> Apply(std::span<const IngestItem* const> items) {
    assert(SeqOf(*items.front()) > run_.applied_seq);
    std::vector<ProbeTrack::Update> updates = AddSamples(items);
    RunChanges changes;
    bool kept = Revive(changes);
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (const auto* samples = std::get_if<SampleItem>(items[i])) {
        kept |= Take(*samples, std::move(updates[i]), changes);
      } else if (const auto* scalars = std::get_if<ScalarItem>(items[i])) {
        kept |= Take(*scalars, changes);
      } else if (const auto* attention = std::get_if<AttentionItem>(items[i])) {
        kept |= Take(*attention, changes);
      } else {
        kept |= Take(std::get<DeclarationItem>(*items[i]));
      }
    }
    run_.applied_seq = SeqOf(*items.back());
    run_.last_sample_time = clock_.Now();
    if (!kept) return std::nullopt;
    return Seal(std::move(changes));
  }

  void Rebuild(const IngestItem& item) {
    if (const auto* samples = std::get_if<SampleItem>(&item)) {
      if (ProbeTrack* track = Find(samples->probe)) track->Refill(*samples);
    } else if (const auto* attention = std::get_if<AttentionItem>(&item)) {
      if (AttentionTrack* track = FindAttention(attention->probe)) track->Refill(*attention);
    }
  }

  RunChanges Finish(bool failed) {
    RunChanges changes;
    Revive(changes);
    for (ProbeTrack& track : tracks_) {
      if (std::optional<EstimateRecord> estimate = track.Close()) {
        Record(std::move(*estimate), changes);
      }
    }
    for (AttentionTrack& track : attention_tracks_) {
      if (std::optional<AttentionRecord> estimate = track.Close()) {
        Record(std::move(*estimate), changes);
      }
    }
    run_.end_time = clock_.Now();
    SetState(failed ? RunState::kFailed : RunState::kFinished, changes);
    return Seal(std::move(changes));
  }

  std::optional<RunChanges> ObserveSilence(double seconds) {
    RunChanges changes;
    bool kept = false;
    if (seconds < run_.signals.heartbeat_seconds) {
      kept = Revive(changes);
    } else if (run_.state == RunState::kRunning) {
      Record(judge_.ObserveSilence(seconds), changes);
      SetState(RunState::kStale, changes);
      kept = true;
    }
    if (!kept) return std::nullopt;
    return Seal(std::move(changes));
  }

  RunChanges Rejudge(const SignalSettings& signals, const PolicySettings& policy,
                     const std::string& author, const std::vector<EventRecord>& history) {
    RunChanges changes;
    if (signals != run_.signals || policy != run_.policy) {
      changes.settings.push_back({NextCursor(), author, run_.last_step, run_.signals, signals,
                                  run_.policy, policy, clock_.Now()});
    }
    const std::vector<Signal> before = judge_.signals();
    const Decision decision_before = judge_.decision();
    run_.signals = signals;
    run_.policy = policy;
    judge_ = JudgeHistory(run_, history);
    Judgement judgement;
    judgement.signals = ChangedSignals(before, judge_.signals());
    if (judge_.decision() != decision_before) judgement.decision = judge_.decision();
    Record(judgement, changes);
    return Seal(std::move(changes));
  }

  RunChanges Describe(std::string display_name, std::map<std::string, std::string> labels) {
    run_.display_name = std::move(display_name);
    run_.labels = std::move(labels);
    return OfRun();
  }

  RunChanges ObserveSession(std::int64_t session_epoch) {
    run_.session_epoch = std::max(run_.session_epoch, session_epoch);
    return OfRun();
  }

  const RunRecord& run() const { return run_; }
  const RunJudge& judge() const { return judge_; }
  absl::Time decision_time() const { return decision_time_; }
  const std::vector<ProbeTrack>& tracks() const { return tracks_; }
  const std::vector<AttentionTrack>& attention_tracks() const { return attention_tracks_; }
  const std::map<std::string, ScalarRecord>& scalars() const { return scalars_; }
  std::int64_t nonfinite_rows() const { return nonfinite_rows_; }

 private:
  void AddTrack(const ProbeSettings& settings) {
    if (settings.attention) {
      attention_tracks_.emplace_back(settings, clock_);
    } else {
      tracks_.emplace_back(settings, pool_, clock_, costs_);
    }
  }

  template <typename Track>
  static Track* FindIn(std::vector<Track>& tracks, const std::string& probe) {
    const auto track = std::ranges::find_if(
        tracks, [&](const Track& t) { return t.settings().identity.name == probe; });
    return track == tracks.end() ? nullptr : &*track;
  }
  ProbeTrack* Find(const std::string& probe) { return FindIn(tracks_, probe); }
  AttentionTrack* FindAttention(const std::string& probe) {
    return FindIn(attention_tracks_, probe);
  }
  // What the first batch settled is known from now on.
  void Declare(const ProbeSettings& settings) {
    *std::ranges::find_if(run_.probes, [&](const ProbeSettings& probe) {
      return probe.identity.name == settings.identity.name;
    }) = settings;
  }

  RunChanges OfRun() { return Seal({}); }

  // With the run as it then stands.
  RunChanges Seal(RunChanges changes) {
    run_.stored_bytes += StoredBytes(changes);
    changes.run = run_;
    return changes;
  }

  // What the batches among `items` did, by item. Tracks share nothing, so each takes its own
  // batches on one thread while others take theirs.
  std::vector<ProbeTrack::Update> AddSamples(std::span<const IngestItem* const> items) {
    std::map<ProbeTrack*, std::vector<std::size_t>> of_track;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto* samples = std::get_if<SampleItem>(items[i]);
      if (samples != nullptr) of_track[Find(samples->probe)].push_back(i);
    }
    const std::vector<std::pair<ProbeTrack*, std::vector<std::size_t>>> work(of_track.begin(),
                                                                             of_track.end());
    std::vector<ProbeTrack::Update> updates(items.size());
    pool_.ParallelFor(work.size(), [&](std::size_t w) {
      for (const std::size_t i : work[w].second) {
        updates[i] = work[w].first->Add(std::get<SampleItem>(*items[i]));
      }
    });
    return updates;
  }

  // Each returns whether anything must be kept.
  bool Take(const DeclarationItem& item) {
    const std::string& name = item.settings.identity.name;
    if (Find(name) || FindAttention(name)) return false;
    run_.probes.push_back(item.settings);
    AddTrack(item.settings);
    if (!item.settings.attention) judge_.AddProbe(item.settings.identity);
    return true;
  }

  bool Take(const SampleItem& item, ProbeTrack::Update update, RunChanges& changes) {
    const ProbeTrack* track = Find(item.probe);
    nonfinite_rows_ += update.nonfinite_rows;
    Declare(track->settings());
    SawStep(item.step);
    if (update.rewound_to) {
      changes.rewinds.push_back({NextCursor(), item.probe, "", *update.rewound_to});
      Record(judge_.Observe(item.probe, VoidedFrom(*update.rewound_to)), changes);
    }
    for (EstimateRecord& estimate : update.estimates) Record(std::move(estimate), changes);
    return update.rewound_to || !update.estimates.empty();
  }

  bool Take(const AttentionItem& item, RunChanges& changes) {
    AttentionTrack* track = FindAttention(item.probe);
    AttentionTrack::Update update = track->Add(item);
    nonfinite_rows_ += update.invalid_prompts;
    Declare(track->settings());
    SawStep(item.step);
    if (update.rewound_to) {
      changes.rewinds.push_back({NextCursor(), item.probe, "", *update.rewound_to});
    }
    for (AttentionRecord& estimate : update.estimates) Record(std::move(estimate), changes);
    return update.rewound_to || !update.estimates.empty();
  }

  bool Take(const ScalarItem& item, RunChanges& changes) {
    SawStep(item.step);
    for (const auto& [name, value] : item.values) {
      const auto known = scalars_.find(name);
      if (known == scalars_.end() || known->second.step < item.step) continue;
      changes.rewinds.push_back({NextCursor(), "", name, item.step});
    }
    const std::int64_t cursor = NextCursor();
    for (const auto& [name, value] : item.values) {
      const ScalarRecord record{cursor, name, item.step, value};
      changes.scalars.push_back(record);
      scalars_[name] = record;
      Record(judge_.ObserveScalar(name, item.step, value), changes);
    }
    return true;
  }

  // A silent run speaks again.
  bool Revive(RunChanges& changes) {
    if (run_.state != RunState::kStale) return false;
    Record(judge_.ObserveSilence(0), changes);
    SetState(RunState::kRunning, changes);
    return true;
  }

  void Record(EstimateRecord estimate, RunChanges& changes) {
    estimate.cursor = NextCursor();
    const Judgement judgement = judge_.Observe(estimate.probe, PointOf(estimate));
    changes.estimates.push_back(std::move(estimate));
    Record(judgement, changes);
  }

  void Record(AttentionRecord estimate, RunChanges& changes) {
    estimate.cursor = NextCursor();
    changes.attention.push_back(std::move(estimate));
  }

  void Record(const Judgement& judgement, RunChanges& changes) {
    const absl::Time now = clock_.Now();
    for (const Signal& signal : judgement.signals) {
      changes.signals.push_back({NextCursor(), signal, now});
    }
    if (!judgement.decision) return;
    changes.decisions.push_back({NextCursor(), *judgement.decision, now});
    decision_time_ = now;
  }

  void SetState(RunState state, RunChanges& changes) {
    run_.state = state;
    changes.states.push_back({NextCursor(), state, clock_.Now()});
  }

  void Remember(const EstimateRecord& record) {
    if (ProbeTrack* track = Find(record.probe)) track->RestoreEstimate(record);
  }
  void Remember(const RewindRecord& record) {
    if (ProbeTrack* track = Find(record.probe)) track->RestoreRewind(record.step);
    if (AttentionTrack* track = FindAttention(record.probe)) track->RestoreRewind(record.step);
  }
  void Remember(const AttentionRecord& record) {
    if (AttentionTrack* track = FindAttention(record.probe)) track->RestoreEstimate(record);
  }
  void Remember(const ScalarRecord& record) { scalars_[record.name] = record; }
  void Remember(const DecisionRecord& record) { decision_time_ = record.create_time; }
  void Remember(const SignalRecord&) {}
  void Remember(const StateRecord&) {}
  void Remember(const SettingsRecord&) {}

  std::int64_t NextCursor() { return run_.next_cursor++; }
  void SawStep(Step step) { run_.last_step = std::max(run_.last_step.value_or(step), step); }

  RunRecord run_;
  ThreadPool& pool_;
  const Clock& clock_;
  EngineCosts costs_;
  RunJudge judge_;
  absl::Time decision_time_;
  std::vector<ProbeTrack> tracks_;
  std::vector<AttentionTrack> attention_tracks_;
  std::map<std::string, ScalarRecord> scalars_;  // the newest of each
  std::int64_t nonfinite_rows_ = 0;
};

RunPipeline::RunPipeline(RunRecord run, ThreadPool& pool, const Clock& clock,
                         const EngineCosts& costs)
    : impl_(std::make_unique<Impl>(std::move(run), pool, clock, costs)) {}
RunPipeline::RunPipeline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RunPipeline::~RunPipeline() = default;
RunPipeline::RunPipeline(RunPipeline&&) noexcept = default;
RunPipeline& RunPipeline::operator=(RunPipeline&&) noexcept = default;

RunPipeline RunPipeline::Restore(RunRecord run, const std::vector<EventRecord>& history,
                                 ThreadPool& pool, const Clock& clock, const EngineCosts& costs) {
  auto impl = std::make_unique<Impl>(std::move(run), pool, clock, costs);
  impl->Restore(history);
  return RunPipeline(std::move(impl));
}

std::optional<RunChanges> RunPipeline::Apply(const IngestItem& item) {
  const IngestItem* const items[] = {&item};
  return impl_->Apply(items);
}
std::optional<RunChanges> RunPipeline::ApplyTogether(std::span<const IngestItem* const> items) {
  return impl_->Apply(items);
}
void RunPipeline::Rebuild(const IngestItem& item) { impl_->Rebuild(item); }
RunChanges RunPipeline::Finish(bool failed) { return impl_->Finish(failed); }
std::optional<RunChanges> RunPipeline::ObserveSilence(double seconds) {
  return impl_->ObserveSilence(seconds);
}
RunChanges RunPipeline::Rejudge(const SignalSettings& signals, const PolicySettings& policy,
                                const std::string& author,
                                const std::vector<EventRecord>& history) {
  return impl_->Rejudge(signals, policy, author, history);
}
RunChanges RunPipeline::Describe(std::string display_name,
                                 std::map<std::string, std::string> labels) {
  return impl_->Describe(std::move(display_name), std::move(labels));
}
RunChanges RunPipeline::ObserveSession(std::int64_t session_epoch) {
  return impl_->ObserveSession(session_epoch);
}
const RunRecord& RunPipeline::run() const { return impl_->run(); }
const Decision& RunPipeline::decision() const { return impl_->judge().decision(); }
absl::Time RunPipeline::decision_time() const { return impl_->decision_time(); }
std::vector<Signal> RunPipeline::signals() const { return impl_->judge().signals(); }

std::vector<EstimateRecord> RunPipeline::latest_estimates() const {
  std::vector<EstimateRecord> latest;
  for (const ProbeTrack& track : impl_->tracks()) {
    if (track.latest()) latest.push_back(*track.latest());
  }
  return latest;
}

std::vector<EstimateRecord> RunPipeline::latest_profiles() const {
  std::vector<EstimateRecord> latest;
  for (const ProbeTrack& track : impl_->tracks()) {
    if (track.latest_profile()) latest.push_back(*track.latest_profile());
  }
  return latest;
}

std::vector<AttentionRecord> RunPipeline::latest_attention() const {
  std::vector<AttentionRecord> latest;
  for (const AttentionTrack& track : impl_->attention_tracks()) {
    if (track.latest()) latest.push_back(*track.latest());
  }
  return latest;
}

std::vector<ScalarRecord> RunPipeline::latest_scalars() const {
  std::vector<ScalarRecord> latest;
  for (const auto& [name, record] : impl_->scalars()) latest.push_back(record);
  return latest;
}

std::int64_t RunPipeline::first_needed_seq() const {
  std::int64_t first = impl_->run().applied_seq + 1;
  for (const ProbeTrack& track : impl_->tracks()) {
    if (const auto needed = track.first_needed_seq()) first = std::min(first, *needed);
  }
  for (const AttentionTrack& track : impl_->attention_tracks()) {
    if (const auto needed = track.first_needed_seq()) first = std::min(first, *needed);
  }
  return first;
}

std::int64_t RunPipeline::window_bytes() const {
  std::int64_t bytes = 0;
  for (const ProbeTrack& track : impl_->tracks()) bytes += track.bytes();
  for (const AttentionTrack& track : impl_->attention_tracks()) bytes += track.bytes();
  return bytes;
}

std::int64_t RunPipeline::nonfinite_rows() const { return impl_->nonfinite_rows(); }

}  // namespace dimwatch
