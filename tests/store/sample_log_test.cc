#include "src/store/sample_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <xxhash.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "src/store/item_codec.h"
#include "src/store/log_hold.h"
#include "tests/store/describe.h"
#include "tests/store/random_records.h"

namespace dimwatch {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::int64_t kSegmentHeader = 32;

struct Opened {
  std::unique_ptr<SampleLog> log;  // null if it was damaged
  absl::Status status;
  std::vector<std::string> items;
  SampleLog::Recovery recovery;
};

fs::path LogIn(const TemporaryFolder& folder) {
  fs::create_directories(folder.path() / "log");
  return folder.path() / "log";
}

Opened OpenLog(const fs::path& folder) {
  Opened opened;
  auto log = SampleLog::Open(
      folder, [&](const IngestItem& item) { opened.items.push_back(Describe(item)); },
      &opened.recovery);
  EXPECT_TRUE(log.ok() || absl::IsDataLoss(log.status())) << log.status();
  opened.status = log.status();
  if (log.ok()) opened.log = *std::move(log);
  return opened;
}

std::vector<std::string> AppendAll(SampleLog& log, const std::vector<IngestItem>& items) {
  for (const IngestItem& item : items) {
    const absl::Status status = log.Append(item);
    EXPECT_TRUE(status.ok()) << status;
  }
  return DescribeAll(items);
}

std::string ReadFile(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Removes the old file first: ext4 flushes one that is truncated and written again.
void WriteFile(const fs::path& file, const std::string& bytes) {
  fs::remove(file);
  std::ofstream(file, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::vector<fs::path> Files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::int64_t BytesOnDisk(const fs::path& folder) {
  std::int64_t sum = 0;
  for (const fs::path& file : Files(folder)) sum += static_cast<std::int64_t>(fs::file_size(file));
  return sum;
}

std::vector<IngestItem> SmallItems() {
  RandomRecords random(5);
  return {random.Samples(1, 1, 3), ScalarItem{2, Step{1}, {{"loss", 0.5}}},
          ScalarItem{3, Step{2}, {}}, random.Samples(4, 1, 1)};
}

// 20 MiB each: four and more make several segments.
std::vector<IngestItem> LargeItems(int count) {
  std::vector<IngestItem> items;
  for (int i = 0; i < count; ++i) {
    SampleItem item;
    item.seq = 10 * (i + 1);
    item.probe = "train/last";
    item.rows = 20 << 10;
    item.dim = 256;
    item.data.assign(20 << 20, static_cast<char>(i));
    items.push_back(std::move(item));
  }
  return items;
}

TEST(SampleLogTest, ItemsComeBackBitForBitAcrossSessions) {
  const TemporaryFolder folder;
  RandomRecords random(1);
  std::vector<std::string> expected;
  std::int64_t seq = 0;
  for (int session = 0; session < 20; ++session) {
    const Opened opened = OpenLog(folder.path() / "run" / "log");
    ASSERT_EQ(opened.items, expected);
    EXPECT_EQ(opened.recovery.items, static_cast<std::int64_t>(expected.size()));
    EXPECT_EQ(opened.recovery.last_seq, seq);
    EXPECT_EQ(opened.recovery.torn_bytes, 0);
    for (std::int64_t i = random.Int(0, 20); i > 0; --i) {
      const IngestItem item = random.Item(++seq);
      ASSERT_TRUE(opened.log->Append(item).ok());
      expected.push_back(Describe(item));
    }
    EXPECT_EQ(opened.log->bytes(), BytesOnDisk(folder.path() / "run" / "log"));
  }
}

TEST(SampleLogTest, TornAtAnyOffsetItReplaysWhatIsWholeAndGoesOn) {
  const TemporaryFolder folder;
  const std::vector<std::string> all = AppendAll(*OpenLog(LogIn(folder)).log, SmallItems());
  const fs::path file = Files(LogIn(folder)).front();
  const std::string whole = ReadFile(file);
  const ScalarItem more{9, Step{9}, {{"more", 1}}};
  std::size_t most = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    WriteFile(file, whole.substr(0, size));
    std::vector<std::string> expected;
    {
      const Opened opened = OpenLog(LogIn(folder));
      ASSERT_LE(opened.items.size(), all.size());
      expected.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(opened.items.size()));
      ASSERT_EQ(opened.items, expected) << size;
      ASSERT_GE(expected.size(), most) << "a longer file replays no less";
      most = expected.size();
      ASSERT_NE(opened.log, nullptr) << opened.status << size;
      const auto written = static_cast<std::int64_t>(size);
      EXPECT_EQ(opened.recovery.torn_bytes,
                written < kSegmentHeader ? written : written - opened.log->bytes());
      ASSERT_TRUE(opened.log->Append(more).ok());
    }
    expected.push_back(Describe(more));
    ASSERT_EQ(OpenLog(LogIn(folder)).items, expected) << size;
  }
  EXPECT_EQ(most, all.size());
}

TEST(SampleLogTest, AnyFlippedBitIsDamageAndTheFileStaysAsItIs) {
  const TemporaryFolder folder;
  const std::vector<std::string> all = AppendAll(*OpenLog(LogIn(folder)).log, SmallItems());
  const fs::path file = Files(LogIn(folder)).front();
  const std::string whole = ReadFile(file);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    WriteFile(file, flipped);
    const Opened opened = OpenLog(LogIn(folder));
    ASSERT_EQ(opened.log, nullptr) << bit;
    EXPECT_THAT(std::string(opened.status.message()), HasSubstr("damaged behind item "));
    ASSERT_LT(opened.items.size(), all.size()) << bit;
    for (std::size_t i = 0; i < opened.items.size(); ++i) ASSERT_EQ(opened.items[i], all[i]);
    ASSERT_EQ(ReadFile(file), flipped);
  }
}

TEST(SampleLogTest, ATailOfZeroesIsCutOffAndTheLogGoesOn) {
  const TemporaryFolder folder;
  std::vector<std::string> all = AppendAll(*OpenLog(LogIn(folder)).log, SmallItems());
  const fs::path file = Files(LogIn(folder)).front();
  const std::string whole = ReadFile(file);
  for (const std::size_t zeroes : {1U, 16U, 17U, 4096U, (2U << 20) + 1}) {
    WriteFile(file, whole + std::string(zeroes, '\0'));
    {
      const Opened opened = OpenLog(LogIn(folder));
      ASSERT_NE(opened.log, nullptr) << opened.status;
      EXPECT_EQ(opened.items, all);
      EXPECT_EQ(opened.recovery.torn_bytes, static_cast<std::int64_t>(zeroes));
      EXPECT_EQ(opened.recovery.last_seq, 4);
      ASSERT_TRUE(opened.log->Append(ScalarItem{5, Step{5}, {{"more", 1}}}).ok());
    }
    EXPECT_EQ(OpenLog(LogIn(folder)).items.size(), all.size() + 1) << zeroes;
  }
}

TEST(SampleLogTest, ZeroesWithAnythingBehindOrBeforeThemAreDamage) {
  const TemporaryFolder folder;
  AppendAll(*OpenLog(LogIn(folder)).log, SmallItems());
  const fs::path file = Files(LogIn(folder)).front();
  const std::string whole = ReadFile(file);
  const std::string zeroes((1 << 20) + 4096, '\0');
  const std::string cut = whole.substr(0, whole.size() - 10);
  for (const std::string& bytes :
       {whole + zeroes + "x", cut + zeroes, whole.substr(0, 20) + zeroes}) {
    WriteFile(file, bytes);
    EXPECT_EQ(OpenLog(LogIn(folder)).log, nullptr);
    EXPECT_EQ(ReadFile(file), bytes);
  }
}

TEST(SampleLogTest, ALastSegmentOfZeroesIsMadeAnewAndOneBeforeItIsDamage) {
  const TemporaryFolder folder;
  const std::vector<std::string> all = AppendAll(*OpenLog(LogIn(folder)).log, LargeItems(5));
  const std::vector<fs::path> files = Files(LogIn(folder));
  ASSERT_EQ(files.size(), 2U);
  const std::string first = ReadFile(files[0]);
  WriteFile(files[1], std::string(4096, '\0'));
  {
    const Opened opened = OpenLog(LogIn(folder));
    ASSERT_NE(opened.log, nullptr) << opened.status;
    EXPECT_EQ(opened.items, std::vector<std::string>(all.begin(), all.begin() + 4));
    EXPECT_EQ(opened.recovery.torn_bytes, 4096);
    EXPECT_EQ(opened.recovery.last_seq, 40) << "for the caller to see";
    AppendAll(*opened.log, {ScalarItem{41, Step{1}, {}}});
  }
  EXPECT_EQ(OpenLog(LogIn(folder)).items.size(), 5U);
  WriteFile(files[0], std::string(4096, '\0'));
  EXPECT_EQ(OpenLog(LogIn(folder)).log, nullptr);
  WriteFile(files[0], first + std::string(4096, '\0'));
  EXPECT_EQ(OpenLog(LogIn(folder)).log, nullptr);
}

TEST(SampleLogTest, DamageInAMiddleSegmentEndsTheReplay) {
  const TemporaryFolder folder;
  const std::vector<std::string> all = AppendAll(*OpenLog(LogIn(folder)).log, LargeItems(9));
  const std::vector<fs::path> files = Files(LogIn(folder));
  ASSERT_EQ(files.size(), 3U);
  std::fstream(files[1], std::ios::in | std::ios::out | std::ios::binary)
      .seekp(30 << 20)
      .put('\x7f');
  const Opened opened = OpenLog(LogIn(folder));
  EXPECT_EQ(opened.items, std::vector<std::string>(all.begin(), all.begin() + 5));
  EXPECT_THAT(std::string(opened.status.message()), HasSubstr("damaged behind item 50"));
  EXPECT_EQ(Files(LogIn(folder)), files);
}

TEST(SampleLogTest, AMissingSegmentIsDamageWhereverItIs) {
  const TemporaryFolder folder;
  AppendAll(*OpenLog(LogIn(folder)).log, LargeItems(9));
  const std::vector<fs::path> files = Files(LogIn(folder));
  for (std::size_t missing = 0; missing < 2; ++missing) {
    const fs::path elsewhere = folder.path() / "elsewhere";
    fs::rename(files[missing], elsewhere);
    const Opened opened = OpenLog(LogIn(folder));
    EXPECT_THAT(std::string(opened.status.message()),
                HasSubstr("a segment before " + files[missing + 1].string() + " is missing"));
    fs::rename(elsewhere, files[missing]);
  }
  EXPECT_EQ(OpenLog(LogIn(folder)).recovery.last_seq, 90);
  fs::remove(files[2]);
  EXPECT_EQ(OpenLog(LogIn(folder)).recovery.last_seq, 80) << "for the caller to see";
}

TEST(SampleLogTest, WhatWasTrimmedIsStillKnownByItsNumber) {
  const TemporaryFolder folder;
  {
    const Opened opened = OpenLog(LogIn(folder));
    AppendAll(*opened.log, LargeItems(9));
    ASSERT_TRUE(opened.log->Trim(91).ok());
  }
  for (int i = 0; i < 2; ++i) {
    const Opened opened = OpenLog(LogIn(folder));
    EXPECT_EQ(opened.recovery.items, 0);
    EXPECT_EQ(opened.recovery.last_seq, 90);
  }
}

TEST(SampleLogTest, TrimDeletesSegmentsThatAreNotNeeded) {
  const TemporaryFolder folder;
  std::vector<std::string> all;
  {
    const Opened opened = OpenLog(LogIn(folder));
    all = AppendAll(*opened.log, LargeItems(9));
    ASSERT_TRUE(opened.log->Trim(40).ok());
    EXPECT_EQ(Files(LogIn(folder)).size(), 3U) << "item 40 is in the first segment";
    ASSERT_TRUE(opened.log->Trim(41).ok());
    EXPECT_EQ(Files(LogIn(folder)).size(), 2U);
    EXPECT_EQ(opened.log->bytes(), BytesOnDisk(LogIn(folder)));
  }
  {
    const Opened opened = OpenLog(LogIn(folder));
    EXPECT_EQ(opened.items, std::vector<std::string>(all.begin() + 4, all.end()));
    ASSERT_TRUE(opened.log->Trim(90).ok());
    EXPECT_EQ(Files(LogIn(folder)).size(), 1U);
    EXPECT_GT(BytesOnDisk(LogIn(folder)), 20 << 20) << "item 90 is needed";
    ASSERT_TRUE(opened.log->Trim(91).ok());
    EXPECT_EQ(BytesOnDisk(LogIn(folder)), kSegmentHeader);
    EXPECT_EQ(opened.log->bytes(), kSegmentHeader);
    AppendAll(*opened.log, {ScalarItem{100, Step{1}, {{"loss", 1}}}});
  }
  EXPECT_EQ(OpenLog(LogIn(folder)).items.size(), 1U);
}

TEST(SampleLogTest, WhatIsHeldForACopyIsTrimmedLater) {
  const TemporaryFolder folder;
  const Opened opened = OpenLog(LogIn(folder));
  AppendAll(*opened.log, LargeItems(9));
  const std::vector<fs::path> files = Files(LogIn(folder));
  {
    const auto hold = LogHold::ToCopy(folder.path());
    ASSERT_TRUE(hold.ok()) << hold.status();
    ASSERT_TRUE(opened.log->Trim(91).ok());
    EXPECT_EQ(Files(LogIn(folder)), files);
  }
  ASSERT_TRUE(opened.log->Trim(91).ok());
  EXPECT_EQ(BytesOnDisk(LogIn(folder)), kSegmentHeader);
}

TEST(SampleLogTest, DiskUseStaysBoundedWhileEverythingIsTrimmed) {
  const TemporaryFolder folder;
  const Opened opened = OpenLog(LogIn(folder));
  for (int i = 0; i < 12; ++i) {
    SampleItem item;
    item.seq = i + 1;
    item.data.assign(20 << 20, 'x');
    ASSERT_TRUE(opened.log->Append(item).ok());
    ASSERT_TRUE(opened.log->Trim(item.seq).ok());
    EXPECT_LE(opened.log->bytes(), (64 << 20) + 2 * (20 << 20) + 1024);
  }
}

TEST(SampleLogTest, AFullDiskKeepsNothingOfTheItem) {
  const TemporaryFolder folder;
  RandomRecords random(6);
  std::vector<std::string> expected;
  {
    const Opened opened = OpenLog(LogIn(folder));
    expected = AppendAll(*opened.log, {random.Samples(1, 10, 8)});
    const std::int64_t before = opened.log->bytes();

    rlimit limit = {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlimit unlimited = limit;
    std::signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = static_cast<rlim_t>(before) + 1000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    SampleItem large = random.Samples(2, 1000, 8);
    const absl::Status status = opened.log->Append(large);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);

    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(opened.log->bytes(), before);
    EXPECT_EQ(BytesOnDisk(LogIn(folder)), before);
    expected.push_back(AppendAll(*opened.log, {random.Samples(3, 2, 8)}).front());
  }
  EXPECT_EQ(OpenLog(LogIn(folder)).items, expected);
}

TEST(SampleLogTest, ALogOfANewerVersionIsRefusedUntouched) {
  const TemporaryFolder folder;
  AppendAll(*OpenLog(LogIn(folder)).log, SmallItems());
  const fs::path file = Files(LogIn(folder)).front();
  std::string bytes = ReadFile(file);
  bytes[8] = 3;
  const auto checksum = static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), 12));
  bytes.replace(12, 4, reinterpret_cast<const char*>(&checksum), 4);
  WriteFile(file, bytes);
  SampleLog::Recovery recovery;
  const auto log = SampleLog::Open(
      LogIn(folder), [](const IngestItem&) {}, &recovery);
  EXPECT_TRUE(absl::IsFailedPrecondition(log.status())) << log.status();
  EXPECT_EQ(ReadFile(file), bytes);
}

// A segment as version 1 wrote it.
std::string OldSegment(const std::vector<IngestItem>& items) {
  const auto append = [](std::string& bytes, auto value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  std::string bytes = "dimwlog\n";
  append(bytes, std::uint32_t{1});
  append(bytes, static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size())));
  for (const IngestItem& item : items) {
    const auto encoded = EncodeItem(item);
    const std::string payload = encoded->head + std::string(encoded->tail);
    append(bytes, std::uint64_t{payload.size()});
    append(bytes, std::uint64_t{XXH3_64bits(payload.data(), payload.size())});
    bytes += payload;
  }
  return bytes;
}

TEST(SampleLogTest, ALogOfTheFirstVersionIsReadAndGoesOnInTheNewOne) {
  const TemporaryFolder folder;
  WriteFile(LogIn(folder) / "000000000003.log", OldSegment(SmallItems()));
  std::vector<std::string> expected = DescribeAll(SmallItems());
  const ScalarItem more{9, Step{9}, {{"more", 1}}};
  {
    const Opened opened = OpenLog(LogIn(folder));
    EXPECT_EQ(opened.items, expected);
    EXPECT_EQ(opened.recovery.last_seq, 4);
    ASSERT_TRUE(opened.log->Append(more).ok());
    expected.push_back(Describe(more));
    EXPECT_EQ(opened.log->bytes(), BytesOnDisk(LogIn(folder)));
  }
  EXPECT_EQ(OpenLog(LogIn(folder)).items, expected);
}

TEST(SampleLogTest, AnEmptiedLogOfTheFirstVersionDoesNotSayWhereItEnded) {
  const TemporaryFolder folder;
  WriteFile(LogIn(folder) / "000000000003.log", OldSegment({}));
  for (int i = 0; i < 2; ++i) {
    const Opened opened = OpenLog(LogIn(folder));
    EXPECT_TRUE(opened.status.ok()) << opened.status;
    EXPECT_EQ(opened.recovery.last_seq, std::nullopt);
  }
}

TEST(SampleLogTest, OtherFilesInTheFolderAreLeftAlone) {
  const TemporaryFolder folder;
  WriteFile(LogIn(folder) / "notes.txt", "mine");
  WriteFile(LogIn(folder) / "12x.log", "mine");
  const std::vector<std::string> all = AppendAll(*OpenLog(LogIn(folder)).log, SmallItems());
  EXPECT_EQ(OpenLog(LogIn(folder)).items, all);
  EXPECT_EQ(ReadFile(LogIn(folder) / "notes.txt"), "mine");
  EXPECT_EQ(ReadFile(LogIn(folder) / "12x.log"), "mine");
}

TEST(SampleLogTest, AFolderThatCannotBeMadeIsAnError) {
  const TemporaryFolder folder;
  WriteFile(folder.path() / "file", "");
  SampleLog::Recovery recovery;
  const auto log = SampleLog::Open(
      folder.path() / "file" / "log", [](const IngestItem&) {}, &recovery);
  EXPECT_EQ(log.status().code(), absl::StatusCode::kInternal) << log.status();
}

}  // namespace
}  // namespace dimwatch
