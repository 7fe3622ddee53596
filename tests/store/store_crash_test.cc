// Children that are killed while they write: what they reported as stored must be there.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "src/store/sample_log.h"
#include "src/store/sqlite_store.h"
#include "tests/store/describe.h"
#include "tests/store/random_records.h"

namespace dimwatch {
namespace {

// Runs `write`(report) in a child, which reports a number after everything it stored, until the
// child has made `reports` reports; then kills it in the middle of what it does next. Returns the
// last number it reported, 0 if none.
std::int64_t WriteUntilKilled(std::int64_t reports,
                              const std::function<void(std::function<void(std::int64_t)>)>& write) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    write([&](std::int64_t number) {
      if (::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(1);
    });
    ::_exit(1);  // `write` goes on until it is killed
  }
  ::close(ends[1]);
  std::int64_t last = 0;
  for (std::int64_t number = 0; ::read(ends[0], &number, sizeof number) == sizeof number;) {
    last = number;
    if (--reports <= 0) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
  return last;
}

// The same for the same number, in every process.
RunChanges ChangesFor(std::int64_t number) {
  RandomRecords random(static_cast<unsigned>(number));
  RunChanges changes;
  changes.run.run_id = "r";
  changes.run.applied_seq = number;
  changes.estimates = {random.Estimate(3 * number, "p", Step{number})};
  changes.scalars = {random.Scalar(3 * number + 1, "loss", Step{number})};
  changes.signals = {random.SignalChange(3 * number + 2)};
  return changes;
}

TEST(StoreCrashTest, CommitsThatReturnedSurviveBeingKilled) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "dimwatch.db";
  RandomRecords random(1);
  std::int64_t stored = 0;
  for (int round = 0; round < 15; ++round) {
    const std::int64_t reported = WriteUntilKilled(random.Int(1, 40), [&](const auto& report) {
      const auto store = SqliteStore::Open(file);
      if (!store.ok()) return;
      for (std::int64_t number = stored + 1; (*store)->Commit(ChangesFor(number)).ok(); ++number) {
        report(number);
      }
    });
    SqliteStore::Recovery recovery;
    const auto store = SqliteStore::Open(file, &recovery);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ(recovery.message, "");
    stored = (*store)->LoadRuns()->front().applied_seq;
    ASSERT_GE(stored, reported);
    const auto events = DescribeAll(*(*store)->ReadEvents("r", 0, 1 << 20));
    ASSERT_EQ(events.size(), static_cast<std::size_t>(3 * stored));
    for (std::int64_t number = 1; number <= stored; ++number) {
      const RunChanges changes = ChangesFor(number);
      const auto at = static_cast<std::size_t>(3 * (number - 1));
      ASSERT_EQ(events[at], Describe(changes.estimates.front()));
      ASSERT_EQ(events[at + 1], Describe(changes.scalars.front()));
      ASSERT_EQ(events[at + 2], Describe(changes.signals.front()));
    }
  }
}

IngestItem ItemFor(std::int64_t number) {
  return RandomRecords(static_cast<unsigned>(number)).Samples(number, 200, 64);
}

TEST(StoreCrashTest, AppendsThatReturnedSurviveBeingKilled) {
  const TemporaryFolder folder;
  RandomRecords random(2);
  std::int64_t stored = 0;
  for (int round = 0; round < 25; ++round) {
    SampleLog::Recovery recovery;
    const std::int64_t reported = WriteUntilKilled(random.Int(1, 40), [&](const auto& report) {
      const auto log = SampleLog::Open(
          folder.path(), [](const IngestItem&) {}, &recovery);
      if (!log.ok()) return;
      for (std::int64_t number = stored + 1; (*log)->Append(ItemFor(number)).ok(); ++number) {
        report(number);
      }
    });
    std::int64_t replayed = 0;
    const auto log = SampleLog::Open(
        folder.path(),
        [&](const IngestItem& item) {
          ++replayed;
          EXPECT_EQ(Describe(item), Describe(ItemFor(replayed)));
        },
        &recovery);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_GE(replayed, reported);
    ASSERT_EQ(recovery.last_seq, replayed);
    stored = replayed;
  }
  EXPECT_GT(stored, 25);
}

}  // namespace
}  // namespace dimwatch
