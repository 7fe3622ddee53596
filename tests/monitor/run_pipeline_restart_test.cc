// A run that is interrupted anywhere goes on as if it had not been.
#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <random>

#include "src/monitor/item_group.h"
#include "src/monitor/run_pipeline.h"
#include "src/monitor/stored_run.h"
#include "src/store/sqlite_store.h"
#include "tests/monitor/job.h"
#include "tests/store/describe.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch {
namespace {

// A run in a store, that can be killed and restored.
class Life {
 public:
  Life(Store& store, const std::string& run_id, ThreadPool& pool, const Clock& clock)
      : store_(store), run_id_(run_id), pool_(pool), clock_(clock) {
    RunChanges created;
    created.run = testing::NewRun(run_id, {});
    EXPECT_TRUE(store.Commit(created).ok());
    pipeline_.emplace(created.run, pool, clock);
  }

  void Apply(const IngestItem& item) {
    log_.push_back(item);
    Commit(pipeline_->Apply(item));
  }

  // The items from `first` on that make a group; returns how many they are.
  std::size_t ApplyGroup(const std::vector<IngestItem>& items, std::size_t first) {
    ItemGroup group(3);
    std::vector<const IngestItem*> together;
    for (std::size_t i = first; i < items.size() && group.Take(items[i]); ++i) {
      log_.push_back(items[i]);
      together.push_back(&items[i]);
    }
    Commit(pipeline_->ApplyTogether(together));
    return together.size();
  }

  // kill -9, then what Monitor::Start does; `extra` more items than needed are still in the log.
  void Restart(std::int64_t extra) {
    pipeline_.reset();
    RunRecord run;
    absl::StatusOr<std::vector<RunRecord>> runs = store_.LoadRuns();
    for (RunRecord& record : *runs) {
      if (record.run_id == run_id_) run = std::move(record);
    }
    const std::int64_t applied = run.applied_seq;
    pipeline_.emplace(
        RunPipeline::Restore(std::move(run), *ReadHistory(store_, run_id_), pool_, clock_));
    for (const IngestItem& item : log_) {
      if (SeqOf(item) > applied) {
        Commit(pipeline_->Apply(item));
      } else if (SeqOf(item) >= trimmed_to_ - extra) {
        pipeline_->Rebuild(item);
      }
    }
  }

  void Finish() { Commit(pipeline_->Finish(false)); }

  std::size_t Profiles() {
    SeriesQuery query;
    query.with_scale_profile = true;
    return store_.ReadEstimates(run_id_, query)->size();
  }

  // Estimates that were found by graphs kept from one to the next.
  std::int64_t FromKeptGraphs() {
    return std::ranges::count_if(*store_.ReadEstimates(run_id_, {}), [](const auto& record) {
      return record.estimate.engine_reason.starts_with("hnsw with graphs kept");
    });
  }

  std::vector<std::string> Told() {
    std::vector<std::string> told = DescribeAll(*ReadHistory(store_, run_id_));
    RunRecord run = pipeline_->run();
    run.run_id.clear();
    run.display_name.clear();
    told.push_back(Describe(run));
    for (const Signal& signal : pipeline_->signals())
      told.push_back(Describe(SignalRecord{0, signal, {}}));
    told.push_back(Describe(DecisionRecord{0, pipeline_->decision(), {}}));
    return told;
  }

 private:
  void Commit(const std::optional<RunChanges>& changes) {
    if (!changes) return;
    ASSERT_TRUE(store_.Commit(*changes).ok());
    trimmed_to_ = pipeline_->first_needed_seq();
  }

  Store& store_;
  const std::string run_id_;
  ThreadPool& pool_;
  const Clock& clock_;
  std::optional<RunPipeline> pipeline_;
  std::vector<IngestItem> log_;
  std::int64_t trimmed_to_ = 0;
};

TEST(RunPipelineRestartTest, InterruptedAnywhereEqualsNeverInterruptedTogetherOrOneByOne) {
  testing::TempFolder folder;
  testing::ManualClock clock;
  ThreadPool one(1);
  ThreadPool four(4);
  auto store = SqliteStore::Open(folder.path() / "store.db");
  ASSERT_TRUE(store.ok());
  std::size_t estimates_and_signals = 0;
  std::size_t largest_group = 0;
  std::size_t profiles = 0;
  std::int64_t from_kept_graphs = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed + 1000);
    Life whole(**store, "whole" + std::to_string(seed), one, clock);
    Life cut(**store, "cut" + std::to_string(seed), four, clock);
    const std::vector<IngestItem> job = testing::RandomJob(seed, 120);
    for (const IngestItem& item : job) whole.Apply(item);
    for (std::size_t i = 0; i < job.size();) {
      const std::size_t together = cut.ApplyGroup(job, i);
      largest_group = std::max(largest_group, together);
      i += together;
      if (random() % 8 == 0) cut.Restart(random() % 4);
    }
    if (seed % 2 == 0) {
      whole.Finish();
      cut.Finish();
    }
    const std::vector<std::string> expected = whole.Told();
    const std::vector<std::string> told = cut.Told();
    for (std::size_t i = 0; i < std::min(told.size(), expected.size()); ++i) {
      ASSERT_EQ(told[i], expected[i]) << "seed " << seed << ", line " << i;
    }
    ASSERT_EQ(told.size(), expected.size()) << "seed " << seed;
    estimates_and_signals += whole.Told().size();
    profiles += whole.Profiles();
    from_kept_graphs += whole.FromKeptGraphs();
  }
  EXPECT_GT(estimates_and_signals, 40 * 50U);
  EXPECT_GT(largest_group, 4U);
  EXPECT_GT(profiles, 40U);
  EXPECT_GT(from_kept_graphs, 40);
}

}  // namespace
}  // namespace dimwatch
