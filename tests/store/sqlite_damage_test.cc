// What SqliteStore makes of files that are not as it left them, and of full disks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

#include "src/store/sqlite_schema.h"
#include "src/store/sqlite_store.h"
#include "tests/store/describe.h"
#include "tests/store/random_records.h"
#include "tests/store/raw_database.h"

namespace dimwatch {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string ReadFile(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void WriteFile(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class SqliteDamageTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteStore> Open() {
    auto store = SqliteStore::Open(file_, &recovery_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Three runs of 40 estimates, closed.
  void Fill() {
    const auto store = Open();
    RandomRecords random(1);
    for (const std::string run_id : {"one", "three", "two"}) {
      RunChanges changes{.run = random.Run(run_id)};
      for (std::int64_t step = 1; step <= 40; ++step) {
        changes.estimates.push_back(random.Estimate(step, "train/last", Step{step}));
      }
      ASSERT_TRUE(store->Commit(changes).ok());
      expected_[run_id] = DescribeAll(changes.estimates);
    }
  }

  // Overwrites the first page of an index, without touching the write-ahead log.
  void DamageIndex() {
    const fs::path copy = folder_.path() / "copy.db";
    fs::copy_file(file_, copy);
    RawDatabase raw(copy);
    const auto page_bytes = static_cast<std::size_t>(raw.Integer("PRAGMA page_size"));
    const auto page = static_cast<std::size_t>(
        raw.Integer("SELECT rootpage FROM sqlite_schema WHERE name = 'estimates_by_probe'"));
    std::string bytes = ReadFile(file_);
    bytes.replace((page - 1) * page_bytes, page_bytes, page_bytes, '\xee');
    WriteFile(file_, bytes);
  }

  TemporaryFolder folder_;
  fs::path file_ = folder_.path() / "dimwatch.db";
  SqliteStore::Recovery recovery_;
  std::map<std::string, std::vector<std::string>> expected_;
};

TEST_F(SqliteDamageTest, AFileThatIsNoDatabaseIsSetAside) {
  const std::string text(10'000, 'x');
  for (int n = 1; n <= 3; ++n) {
    WriteFile(file_, text);
    const auto store = Open();
    ASSERT_NE(store, nullptr);
    const fs::path aside = file_.string() + ".damaged-" + std::to_string(n);
    EXPECT_EQ(recovery_.set_aside, aside);
    EXPECT_EQ(ReadFile(aside), text);
    EXPECT_THAT(recovery_.message, HasSubstr("not a database"));
    EXPECT_THAT(recovery_.message, HasSubstr(aside.string()));
    EXPECT_TRUE(store->LoadRuns()->empty());
    EXPECT_TRUE(store->Commit({.run = RandomRecords(1).Run("r")}).ok());
  }
  EXPECT_EQ(Open()->LoadRuns()->size(), 1U);
  EXPECT_EQ(recovery_.message, "");
}

TEST_F(SqliteDamageTest, ADamagedIndexCostsNoRun) {
  Fill();
  DamageIndex();
  const auto store = Open();
  EXPECT_NE(recovery_.message, "");
  EXPECT_EQ(recovery_.rescued_runs, 3);
  EXPECT_EQ(recovery_.damaged_runs, 0);
  for (const auto& [run_id, events] : expected_) {
    EXPECT_EQ(DescribeAll(*store->ReadEvents(run_id, 0, 1000)), events);
  }
}

TEST_F(SqliteDamageTest, ALargeFileIsCheckedAfterAnUncleanStopOnly) {
  Fill();
  RawDatabase(file_).Execute(
      "CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(257 << 20))");
  const auto rootpage = RawDatabase(file_).Integer(
      "SELECT rootpage FROM sqlite_schema WHERE name = 'estimates_by_probe'");
  std::fstream(file_, std::ios::in | std::ios::out | std::ios::binary)
      .seekp((rootpage - 1) * RawDatabase(file_).Integer("PRAGMA page_size"))
      .write(std::string(100, '\xee').data(), 100);
  EXPECT_NE(Open(), nullptr);
  EXPECT_EQ(recovery_.message, "");
  WriteFile(file_.string() + "-wal", "");
  const auto store = Open();
  EXPECT_EQ(recovery_.rescued_runs, 3) << recovery_.message;
}

TEST_F(SqliteDamageTest, WhatOnlyTheWriteAheadLogHoldsIsRescuedToo) {
  Fill();
  const fs::path crashed = folder_.path() / "crashed.db";
  {
    const auto store = Open();
    ASSERT_TRUE(store->Commit({.run = RandomRecords(5).Run("late")}).ok());
    fs::copy_file(file_, crashed);
    fs::copy_file(file_.string() + "-wal", crashed.string() + "-wal");
  }
  file_ = crashed;
  DamageIndex();
  const auto store = Open();
  EXPECT_EQ(recovery_.rescued_runs, 4) << recovery_.message;
  EXPECT_TRUE(fs::exists(recovery_.set_aside));
}

TEST_F(SqliteDamageTest, OverwrittenBytesAnywhereNeverKeepItFromOpening) {
  Fill();
  const std::string whole = ReadFile(file_);
  RandomRecords random(2);
  int set_aside = 0;
  int rescued = 0;
  for (int round = 0; round < 60; ++round) {
    std::string bytes = whole;
    const std::int64_t length = random.Int(1, 2000);
    const std::int64_t start = random.Int(0, static_cast<std::int64_t>(whole.size()) - length);
    for (std::int64_t at = start; at < start + length; ++at) {
      bytes[static_cast<std::size_t>(at)] = static_cast<char>(random.Int(0, 255));
    }
    WriteFile(file_, bytes);
    auto store = SqliteStore::Open(file_, &recovery_);
    if (absl::IsFailedPrecondition(store.status())) continue;  // the version was hit
    ASSERT_TRUE(store.ok()) << store.status() << " at " << start;
    const auto runs = (*store)->LoadRuns();
    ASSERT_TRUE(runs.ok()) << runs.status();
    for (const RunRecord& run : *runs) {
      const auto events = (*store)->ReadEvents(run.run_id, 0, 1000);
      EXPECT_TRUE(events.ok() || absl::IsDataLoss(events.status()) || !run.damage.empty())
          << events.status();
    }
    EXPECT_TRUE((*store)->Commit({.run = random.Run("new")}).ok());
    set_aside += recovery_.message.empty() ? 0 : 1;
    rescued += recovery_.rescued_runs > 0 ? 1 : 0;
  }
  EXPECT_GT(set_aside, 10);
  EXPECT_GT(rescued, 5);
}

TEST_F(SqliteDamageTest, ARunWhoseRecordCannotBeParsedComesBackWithItsDamage) {
  Fill();
  for (const std::string damage :
       {"policy = '{\"mode\":'", "state = 'SLEEPING'", "next_cursor = x'00'", "signals = 7"}) {
    RawDatabase(file_).Execute("UPDATE runs SET " + damage + " WHERE run_id = 'two'");
    const auto store = Open();
    EXPECT_EQ(recovery_.message, "") << "the file is sound";
    const auto runs = store->LoadRuns();
    ASSERT_TRUE(runs.ok()) << runs.status();
    ASSERT_EQ(runs->size(), 3U);
    for (const RunRecord& run : *runs) {
      EXPECT_EQ(run.damage.empty(), run.run_id != "two") << run.run_id << run.damage;
    }
    EXPECT_EQ(DescribeAll(*store->ReadEvents("one", 0, 1000)), expected_["one"]);
    ASSERT_TRUE(store->Commit({.run = RandomRecords(3).Run("two")}).ok()) << "repaired";
    const auto repaired = store->LoadRuns();
    ASSERT_TRUE(repaired.ok());
    for (const RunRecord& run : *repaired) EXPECT_EQ(run.damage, "");
  }
}

TEST_F(SqliteDamageTest, ADamagedRecordIsDataLoss) {
  Fill();
  RawDatabase(file_).Execute("UPDATE estimates SET settings = '' WHERE cursor = 7");
  const auto store = Open();
  EXPECT_TRUE(absl::IsDataLoss(store->ReadEstimates("one", {}).status()));
  EXPECT_TRUE(absl::IsDataLoss(store->ReadEvents("one", 0, 10).status()));
  EXPECT_TRUE(store->ReadEvents("one", 7, 10).ok());
}

TEST_F(SqliteDamageTest, ANewerSchemaIsRefusedUntouched) {
  Fill();
  RawDatabase(file_).Execute("PRAGMA user_version = " + std::to_string(kSqliteSchemaVersion + 1));
  const std::string before = ReadFile(file_);
  const auto store = SqliteStore::Open(file_, &recovery_);
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("newer"));
  EXPECT_EQ(recovery_.message, "");
  EXPECT_EQ(ReadFile(file_), before);
}

TEST_F(SqliteDamageTest, AnotherProgramsDatabaseIsRefused) {
  RawDatabase(file_).Execute("CREATE TABLE bookmarks (url TEXT)");
  const auto store = SqliteStore::Open(file_, &recovery_);
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_EQ(RawDatabase(file_).Integer("SELECT count(*) FROM bookmarks"), 0);
}

TEST_F(SqliteDamageTest, AnEmptyFileIsANewDatabase) {
  WriteFile(file_, "");
  EXPECT_NE(Open(), nullptr);
  EXPECT_EQ(recovery_.message, "");
}

TEST_F(SqliteDamageTest, AFolderInItsPlaceIsAnError) {
  fs::create_directory(file_);
  EXPECT_EQ(SqliteStore::Open(file_).status().code(), absl::StatusCode::kInternal);
}

TEST_F(SqliteDamageTest, AFullDiskRefusesCommitsAndLosesNone) {
  std::signal(SIGXFSZ, SIG_IGN);
  RandomRecords random(4);
  rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit unlimited = limit;
  std::vector<std::string> committed;
  {
    const auto store = Open();
    ASSERT_TRUE(store->Commit({.run = random.Run("r")}).ok());
    limit.rlim_cur = 1 << 20;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    std::int64_t step = 0;
    absl::Status status;
    while (status.ok() && step < 10'000) {
      ++step;
      const EstimateRecord estimate = random.Estimate(step, "p", Step{step});
      status = store->Commit({.run = random.Run("r"), .estimates = {estimate}});
      if (status.ok()) committed.push_back(Describe(estimate));
    }
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(DescribeAll(*store->ReadEvents("r", 0, 1 << 20)), committed);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);

    ++step;
    const EstimateRecord estimate = random.Estimate(step, "p", Step{step});
    status = store->Commit({.run = random.Run("r"), .estimates = {estimate}});
    EXPECT_TRUE(status.ok()) << status;
    committed.push_back(Describe(estimate));
  }
  EXPECT_GT(committed.size(), 20U);
  const auto store = Open();
  EXPECT_EQ(recovery_.message, "");
  EXPECT_EQ(DescribeAll(*store->ReadEvents("r", 0, 1 << 20)), committed);
}

}  // namespace
}  // namespace dimwatch
