#include "src/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "tests/store/describe.h"
#include "tests/store/random_records.h"
#include "tests/store/raw_database.h"

namespace dimwatch {
namespace {

using ::testing::IsEmpty;

class SqliteStoreTest : public ::testing::Test {
 protected:
  SqliteStoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    SqliteStore::Recovery recovery;
    auto store = SqliteStore::Open(file_, &recovery);
    EXPECT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(recovery.message, "");
    if (store.ok()) store_ = *std::move(store);
  }

  void Commit(const RunChanges& changes) {
    const absl::Status status = store_->Commit(changes);
    ASSERT_TRUE(status.ok()) << status;
  }

  // Returns how many pieces that took.
  int PurgeAll() {
    int pieces = 0;
    while (store_->Purge().value()) ++pieces;
    return pieces;
  }

  std::vector<std::string> Events(const std::string& run_id, std::int64_t after = 0,
                                  int limit = 1 << 20) {
    const auto events = store_->ReadEvents(run_id, after, limit);
    EXPECT_TRUE(events.ok()) << events.status();
    return events.ok() ? DescribeAll(*events) : std::vector<std::string>();
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "data" / "dimwatch.db";
  std::unique_ptr<SqliteStore> store_;
};

RunRecord PlainRun(const std::string& run_id) {
  RunRecord run;
  run.run_id = run_id;
  return run;
}

EstimateRecord PlainEstimate(std::int64_t cursor, const std::string& probe, std::int64_t step) {
  EstimateRecord record;
  record.cursor = cursor;
  record.probe = probe;
  record.step = Step{step};
  return record;
}

AttentionRecord PlainAttention(std::int64_t cursor, const std::string& probe, std::int64_t step) {
  AttentionRecord record;
  record.cursor = cursor;
  record.probe = probe;
  record.step = Step{step};
  return record;
}

ScalarRecord PlainScalar(std::int64_t cursor, const std::string& name, std::int64_t step) {
  return {cursor, name, Step{step}, static_cast<double>(cursor)};
}

TEST_F(SqliteStoreTest, AFileOfTheFirstVersionIsBroughtToThePresentOne) {
  RandomRecords random(5);
  EstimateRecord estimate = random.Estimate(1, "p", Step{10});
  estimate.estimate.harmonic_mean = estimate.estimate.harmonic_mean_standard_error = std::nullopt;
  estimate.estimate.near_duplicates = 0;
  estimate.estimate.recall_low = 1;
  estimate.estimate.bias_bound = 0;
  estimate.estimate.engine_reason = "";
  estimate.estimate.enough_recall = true;
  estimate.scale_profile = std::nullopt;
  estimate.subsampled_reason = "";
  Commit({.run = random.Run("r"), .estimates = {estimate}});
  store_.reset();
  {
    RawDatabase raw(file_);
    for (const char* column :
         {"harmonic_mean", "harmonic_mean_standard_error", "near_duplicates", "scale_profile",
          "recall_low", "bias_bound", "engine_reason", "enough_recall", "subsampled_reason"}) {
      raw.Execute(absl::StrCat("ALTER TABLE estimates DROP COLUMN ", column));
    }
    raw.Execute("ALTER TABLE runs DROP COLUMN stored_bytes");
    raw.Execute("DROP TABLE attention");
    raw.Execute("DROP TABLE settings_changes");
    raw.Execute("PRAGMA user_version = 1");
  }
  Reopen();
  EXPECT_EQ(Events("r"), std::vector<std::string>{Describe(estimate)});
  EstimateRecord next = random.Estimate(2, "p", Step{20});
  next.scale_profile = random.Profile();
  const AttentionRecord attention = random.Attention(3, "q", Step{20});
  Commit({.run = random.Run("r"), .estimates = {next}, .attention = {attention}});
  Reopen();
  EXPECT_EQ(Events("r"),
            (std::vector<std::string>{Describe(estimate), Describe(next), Describe(attention)}));
}

TEST_F(SqliteStoreTest, EstimatesWithAScaleProfileAreReadAlonePageByPage) {
  RunChanges changes;
  changes.run = PlainRun("r");
  RandomRecords random(6);
  for (std::int64_t i = 1; i <= 20; ++i) {
    EstimateRecord record = PlainEstimate(i, i % 2 == 0 ? "a" : "b", i);
    if (i % 5 == 0) record.scale_profile = random.Profile();
    changes.estimates.push_back(record);
  }
  Commit(changes);
  SeriesQuery query;
  query.with_scale_profile = true;
  query.limit = 3;
  const auto steps = [&] {
    const std::vector<EstimateRecord> records = store_->ReadEstimates("r", query).value();
    std::vector<std::int64_t> found;
    for (const EstimateRecord& record : records) {
      EXPECT_TRUE(record.scale_profile);
      found.push_back(record.step.value);
    }
    return found;
  };
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{5, 10, 15}));
  query.after = {Step{15}, "b"};
  EXPECT_EQ(steps(), std::vector<std::int64_t>{20});
  query.after.reset();
  query.name = "b";
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{5, 15}));
  // A job that goes back takes the profiles with the estimates.
  Commit({.run = PlainRun("r"), .rewinds = {{21, "b", "", Step{8}}}});
  EXPECT_EQ(steps(), std::vector<std::int64_t>{5});
}

TEST_F(SqliteStoreTest, EveryKindOfRecordComesBackBitForBit) {
  RandomRecords random(1);
  for (int i = 0; i < 40; ++i) {
    const std::string run_id = absl::StrCat("run-", i);
    RunChanges changes;
    changes.run = random.Run(run_id);
    std::vector<std::string> expected;
    for (std::int64_t cursor = 1; cursor <= 32; cursor += 8) {
      changes.estimates.push_back(random.Estimate(cursor, random.Text(), Step{cursor}));
      changes.scalars.push_back(random.Scalar(cursor + 1, random.Text(), Step{cursor}));
      changes.signals.push_back(random.SignalChange(cursor + 2));
      changes.decisions.push_back(random.DecisionChange(cursor + 3));
      changes.rewinds.push_back({cursor + 4, "", random.Text(), Step{cursor + 100}});
      changes.states.push_back(random.StateChange(cursor + 5));
      changes.attention.push_back(random.Attention(cursor + 6, random.Text(), Step{cursor}));
      changes.settings.push_back(random.SettingsChange(cursor + 7));
      for (const std::string& text :
           {Describe(changes.estimates.back()), Describe(changes.scalars.back()),
            Describe(changes.signals.back()), Describe(changes.decisions.back()),
            Describe(changes.rewinds.back()), Describe(changes.states.back()),
            Describe(changes.attention.back()), Describe(changes.settings.back())}) {
        expected.push_back(text);
      }
    }
    Commit(changes);
    if (i % 10 == 0) Reopen();
    EXPECT_EQ(Events(run_id), expected);
    EXPECT_EQ(DescribeAll(*store_->ReadEstimates(run_id, {})), DescribeAll(changes.estimates));
    EXPECT_EQ(DescribeAll(*store_->ReadAttention(run_id, {})), DescribeAll(changes.attention));
    EXPECT_EQ(DescribeAll(*store_->ReadScalars(run_id, {})), DescribeAll(changes.scalars));
    EXPECT_EQ(DescribeAll(*store_->ReadSignals(run_id, 0, 100)), DescribeAll(changes.signals));
    EXPECT_EQ(DescribeAll(*store_->ReadDecisions(run_id, 0, 100)), DescribeAll(changes.decisions));
    EXPECT_EQ(DescribeAll(*store_->ReadSettings(run_id, 0, 100)), DescribeAll(changes.settings));
    const auto runs = store_->LoadRuns();
    ASSERT_TRUE(runs.ok());
    const auto found = std::ranges::find(*runs, run_id, &RunRecord::run_id);
    ASSERT_NE(found, runs->end());
    EXPECT_EQ(Describe(*found), Describe(changes.run));
  }
}

TEST_F(SqliteStoreTest, ACommitOverwritesTheRunAsItStands) {
  RandomRecords random(2);
  Commit({.run = random.Run("r")});
  const RunRecord later = random.Run("r");
  Commit({.run = later});
  EXPECT_EQ(DescribeAll(*store_->LoadRuns()), DescribeAll<RunRecord>({later}));
}

TEST_F(SqliteStoreTest, RunsComeOldestFirst) {
  for (const int age : {3, 1, 2}) {
    RunRecord run = PlainRun(absl::StrCat("run-", age));
    run.create_time = absl::UnixEpoch() - absl::Hours(age);
    Commit({.run = run});
  }
  const auto runs = *store_->LoadRuns();
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].run_id, "run-3");
  EXPECT_EQ(runs[1].run_id, "run-2");
  EXPECT_EQ(runs[2].run_id, "run-1");
}

TEST_F(SqliteStoreTest, ARewindVoidsItsSeriesFromItsStepOnAndStaysInHistory) {
  RunChanges first{.run = PlainRun("r")};
  for (std::int64_t step = 1; step <= 4; ++step) {
    first.estimates.push_back(PlainEstimate(10 * step, "a", step));
    first.estimates.push_back(PlainEstimate(10 * step + 1, "b", step));
    first.attention.push_back(PlainAttention(10 * step + 3, "maps", step));
    first.scalars.push_back(PlainScalar(10 * step + 2, "a", step));
  }
  Commit(first);
  RunChanges rewound{.run = PlainRun("r")};
  rewound.rewinds = {{50, "a", "", Step{3}}};
  rewound.estimates = {PlainEstimate(51, "a", 3)};
  Commit(rewound);

  SeriesQuery of_a{.name = "a"};
  std::vector<std::int64_t> cursors;
  const auto estimates = store_->ReadEstimates("r", of_a);
  ASSERT_TRUE(estimates.ok());
  for (const EstimateRecord& record : *estimates) cursors.push_back(record.cursor);
  EXPECT_EQ(cursors, (std::vector<std::int64_t>{10, 20, 51}));
  EXPECT_EQ(store_->ReadEstimates("r", {.name = "b"})->size(), 4U);
  EXPECT_EQ(store_->ReadScalars("r", of_a)->size(), 4U);
  EXPECT_EQ(store_->ReadAttention("r", {})->size(), 4U);
  EXPECT_EQ(Events("r", 41),
            (std::vector<std::string>{
                Describe(first.scalars.back()), Describe(first.attention.back()),
                Describe(rewound.rewinds.front()), Describe(rewound.estimates.front())}));

  RunChanges scalar{.run = PlainRun("r")};
  scalar.rewinds = {{60, "", "a", Step{2}}};
  Commit(scalar);
  EXPECT_EQ(store_->ReadScalars("r", of_a)->size(), 1U);
  EXPECT_EQ(store_->ReadEstimates("r", of_a)->size(), 3U);

  RunChanges maps{.run = PlainRun("r")};
  maps.rewinds = {{70, "maps", "", Step{2}}};
  Commit(maps);
  EXPECT_EQ(store_->ReadAttention("r", {})->size(), 1U);
  EXPECT_EQ(store_->ReadEstimates("r", of_a)->size(), 3U);
}

TEST_F(SqliteStoreTest, PagesCoverASeriesOnceInOrder) {
  RandomRecords random(3);
  RunChanges changes{.run = PlainRun("r")};
  std::int64_t cursor = 0;
  for (const std::string name : {"b", "a", "c/d"}) {
    for (std::int64_t step = random.Int(0, 5); step < 60; step += random.Int(1, 4)) {
      changes.scalars.push_back(PlainScalar(++cursor, name, step));
      changes.estimates.push_back(PlainEstimate(++cursor, name, step));
      changes.attention.push_back(PlainAttention(++cursor, name, step));
    }
  }
  Commit(changes);
  std::ranges::sort(changes.scalars, {},
                    [](const ScalarRecord& s) { return std::pair(s.step, s.name); });
  std::ranges::sort(changes.estimates, {},
                    [](const EstimateRecord& e) { return std::pair(e.step, e.probe); });
  std::ranges::sort(changes.attention, {},
                    [](const AttentionRecord& a) { return std::pair(a.step, a.probe); });

  for (int round = 0; round < 60; ++round) {
    SeriesQuery query{.name = random.Flip() ? "" : "a"};
    if (random.Flip()) query.min_step = Step{random.Int(0, 60)};
    if (random.Flip()) query.max_step = Step{random.Int(0, 60)};
    query.limit = static_cast<int>(random.Int(1, 12));
    const auto wanted = [&](const std::string& name, Step step) {
      return (query.name.empty() || query.name == name) &&
             step >= query.min_step.value_or(Step{0}) && step <= query.max_step.value_or(Step{99});
    };
    std::vector<std::string> expected_scalars, expected_estimates, scalars, estimates;
    std::vector<std::string> expected_attention, attention;
    for (const auto& s : changes.scalars) {
      if (wanted(s.name, s.step)) expected_scalars.push_back(Describe(s));
    }
    for (const auto& e : changes.estimates) {
      if (wanted(e.probe, e.step)) expected_estimates.push_back(Describe(e));
    }
    for (const auto& a : changes.attention) {
      if (wanted(a.probe, a.step)) expected_attention.push_back(Describe(a));
    }
    SeriesQuery page = query;
    while (true) {
      const auto records = *store_->ReadScalars("r", page);
      ASSERT_LE(records.size(), static_cast<std::size_t>(page.limit));
      if (records.empty()) break;
      for (const auto& record : records) scalars.push_back(Describe(record));
      page.after = {records.back().step, records.back().name};
    }
    page = query;
    while (true) {
      const auto records = *store_->ReadEstimates("r", page);
      if (records.empty()) break;
      for (const auto& record : records) estimates.push_back(Describe(record));
      page.after = {records.back().step, records.back().probe};
    }
    page = query;
    while (true) {
      const auto records = *store_->ReadAttention("r", page);
      if (records.empty()) break;
      for (const auto& record : records) attention.push_back(Describe(record));
      page.after = {records.back().step, records.back().probe};
    }
    EXPECT_EQ(attention, expected_attention);
    EXPECT_EQ(scalars, expected_scalars);
    EXPECT_EQ(estimates, expected_estimates);
  }
}

TEST_F(SqliteStoreTest, EventsPageByCursorAndKeepTheScalarsOfOneCursorTogether) {
  RandomRecords random(4);
  RunChanges changes{.run = PlainRun("r")};
  std::int64_t cursor = 0;
  for (std::int64_t step = 0; step < 40; ++step) {
    ++cursor;
    for (const char* name : {"a", "b", "c"}) {
      changes.scalars.push_back(PlainScalar(cursor, name, step));
    }
    changes.estimates.push_back(PlainEstimate(++cursor, "p", step));
    if (random.Flip()) changes.signals.push_back(random.SignalChange(++cursor));
    if (random.Flip()) changes.states.push_back(random.StateChange(++cursor));
  }
  Commit(changes);
  const std::vector<std::string> all = Events("r");
  EXPECT_EQ(all.size(), 160 + changes.signals.size() + changes.states.size());
  for (const int limit : {1, 2, 3, 7, 50}) {
    std::vector<std::string> paged;
    std::int64_t after = 0;
    while (true) {
      const auto page = *store_->ReadEvents("r", after, limit);
      if (page.empty()) break;
      ASSERT_LE(page.size(), static_cast<std::size_t>(limit) + 2);
      for (const EventRecord& event : page) {
        paged.push_back(Describe(event));
        const std::int64_t at = std::visit([](const auto& e) { return e.cursor; }, event);
        ASSERT_GE(at, after);
        after = at;
      }
    }
    EXPECT_EQ(paged, all) << limit;
  }
  EXPECT_THAT(Events("r", cursor), IsEmpty());
  EXPECT_THAT(Events("r", 0, 0), IsEmpty());
}

TEST_F(SqliteStoreTest, SignalsAndDecisionsPageByCursor) {
  RandomRecords random(5);
  RunChanges changes{.run = PlainRun("r")};
  for (std::int64_t cursor = 1; cursor < 20; cursor += 2) {
    changes.signals.push_back(random.SignalChange(cursor));
    changes.decisions.push_back(random.DecisionChange(cursor + 1));
  }
  Commit(changes);
  const auto signals = *store_->ReadSignals("r", 3, 2);
  ASSERT_EQ(signals.size(), 2U);
  EXPECT_EQ(signals[0].cursor, 5);
  EXPECT_EQ(signals[1].cursor, 7);
  const auto decisions = *store_->ReadDecisions("r", 18, 10);
  ASSERT_EQ(decisions.size(), 1U);
  EXPECT_EQ(decisions[0].cursor, 20);
}

TEST_F(SqliteStoreTest, ACommitThatFailsLeavesNothing) {
  RunChanges first{.run = PlainRun("r")};
  first.estimates = {PlainEstimate(1, "a", 1)};
  Commit(first);
  RunChanges second{.run = PlainRun("r")};
  second.run.applied_seq = 7;
  second.scalars = {PlainScalar(2, "loss", 1)};
  second.rewinds = {{3, "a", "", Step{0}}};
  second.states = {{4, RunState::kStale, {}}, {4, RunState::kRunning, {}}};
  EXPECT_EQ(store_->Commit(second).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Events("r"), DescribeAll(first.estimates));
  EXPECT_EQ(store_->LoadRuns()->front().applied_seq, 0);
  second.states.pop_back();
  Commit(second);
  EXPECT_EQ(store_->LoadRuns()->front().applied_seq, 7);
}

TEST_F(SqliteStoreTest, ASeriesHoldsOneRecordPerStep) {
  Commit({.run = PlainRun("r"), .estimates = {PlainEstimate(1, "a", 1)}});
  EXPECT_FALSE(
      store_->Commit({.run = PlainRun("r"), .estimates = {PlainEstimate(2, "a", 1)}}).ok());
  Commit({.run = PlainRun("r"), .estimates = {PlainEstimate(2, "b", 1)}});
}

TEST_F(SqliteStoreTest, TextThatIsNotUtf8IsRefused) {
  RunRecord run = PlainRun("r");
  run.labels["team"] = "\xff";
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Commit({.run = run})));
  EXPECT_THAT(*store_->LoadRuns(), IsEmpty());
}

TEST_F(SqliteStoreTest, DeleteRunRemovesEverythingOfItAndNothingElse) {
  RandomRecords random(6);
  for (const std::string run_id : {"r", "s"}) {
    RunChanges changes{.run = random.Run(run_id)};
    changes.estimates = {random.Estimate(1, "a", Step{1})};
    changes.scalars = {random.Scalar(2, "a", Step{1})};
    changes.signals = {random.SignalChange(3)};
    changes.decisions = {random.DecisionChange(4)};
    changes.rewinds = {{5, "b", "", Step{1}}};
    changes.states = {random.StateChange(6)};
    Commit(changes);
  }
  ASSERT_TRUE(store_->DeleteRun("r").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->ReadEvents("r", 0, 10).status()));
  EXPECT_EQ(store_->LoadRuns()->size(), 1U);
  EXPECT_EQ(Events("s").size(), 6U);
  Reopen();
  EXPECT_EQ(store_->LoadRuns()->size(), 1U) << "it stays deleted";
  PurgeAll();
  store_.reset();
  RawDatabase raw(file_);
  for (const std::string table :
       {"runs", "estimates", "scalars", "signals", "decisions", "rewinds", "states"}) {
    EXPECT_EQ(raw.Integer("SELECT count(*) FROM " + table), 1) << table;
  }
  Reopen();
  Commit({.run = PlainRun("r")});
  EXPECT_THAT(Events("r"), IsEmpty());
}

TEST_F(SqliteStoreTest, ADeletedRunGoesInPiecesWhileItsNameLivesOn) {
  RunChanges changes{.run = PlainRun("r")};
  for (std::int64_t i = 1; i <= 2600; ++i) changes.scalars.push_back(PlainScalar(i, "a", i));
  Commit(changes);
  ASSERT_TRUE(store_->DeleteRun("r").ok());
  Commit({.run = PlainRun("r"), .scalars = {PlainScalar(1, "new", 1)}});
  RawDatabase raw(file_);
  std::int64_t left = 2601;
  for (int pieces = 0; left > 1; ++pieces) {
    ASSERT_EQ(store_->Purge().value(), true);
    const std::int64_t now = raw.Integer("SELECT count(*) FROM scalars");
    ASSERT_GE(now, left - 500);
    ASSERT_LT(pieces, 6);
    left = now;
  }
  EXPECT_EQ(PurgeAll(), 1) << "the run itself";
  EXPECT_EQ(Events("r").size(), 1U);
}

TEST_F(SqliteStoreTest, AnUnknownRunIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(store_->DeleteRun("r")));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadEstimates("r", {}).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadScalars("r", {}).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadSignals("r", 0, 1).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadDecisions("r", 0, 1).status()));
  EXPECT_TRUE(absl::IsNotFound(store_->ReadEvents("r", 0, 1).status()));
}

TEST_F(SqliteStoreTest, ReadersSeeWholeCommitsOnly) {
  Commit({.run = PlainRun("r")});
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      std::size_t last = 0;
      while (!done) {
        const auto events = store_->ReadEvents("r", 0, 1 << 20);
        ASSERT_TRUE(events.ok()) << events.status();
        ASSERT_EQ(events->size() % 3, 0U) << "each commit holds three events";
        ASSERT_GE(events->size(), last);
        last = events->size();
      }
    });
  }
  for (std::int64_t i = 0; i < 150; ++i) {
    Commit({.run = PlainRun("r"),
            .estimates = {PlainEstimate(3 * i + 1, "a", i)},
            .scalars = {PlainScalar(3 * i + 2, "a", i)},
            .states = {{3 * i + 3, RunState::kRunning, {}}}});
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(Events("r").size(), 450U);
}

TEST_F(SqliteStoreTest, WritersFromManyThreadsAllSucceed) {
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, run_id = absl::StrCat("r", writer)] {
      for (std::int64_t i = 1; i <= 30; ++i) {
        const absl::Status status =
            store_->Commit({.run = PlainRun(run_id), .estimates = {PlainEstimate(i, "a", i)}});
        ASSERT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (int writer = 0; writer < 4; ++writer) {
    EXPECT_EQ(Events(absl::StrCat("r", writer)).size(), 30U);
  }
}

// Would fail after the busy timeout if reads waited.
TEST_F(SqliteStoreTest, ReadsDoNotWaitForACommitInProgress) {
  Commit({.run = PlainRun("r"), .estimates = {PlainEstimate(1, "a", 1)}});
  RawDatabase other(file_);
  other.Execute("BEGIN IMMEDIATE; DELETE FROM estimates");
  EXPECT_EQ(Events("r").size(), 1U);
  EXPECT_EQ(store_->LoadRuns()->size(), 1U);
  other.Execute("ROLLBACK");
}

}  // namespace
}  // namespace dimwatch
