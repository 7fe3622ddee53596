#include "client/cpp/send_queue.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dimwatch::client_internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kPlenty = 1 << 20;

QueuedItem Batch(std::int64_t step, int rows, const std::string& probe = "train/a") {
  QueuedItem item;
  v1::SampleBatch& batch = *item.message.mutable_samples();
  batch.set_probe(probe);
  batch.set_step(step);
  batch.set_dtype(v1::DTYPE_F32);
  batch.set_rows(rows);
  batch.set_dim(2);
  item.size = 8 * rows;
  item.data = std::make_shared<BatchData>(item.size);
  for (int row = 0; row < rows; ++row) {
    std::fill_n(item.data->block.data() + 8 * row, 8, static_cast<char>('a' + row));
    batch.add_sample_ids(100 + row);
  }
  return item;
}

std::int64_t BytesOf(const QueuedItem& item) {
  return SendQueue::BytesOf(item.message) + (item.data ? item.data->block.size() : 0);
}

// A batch of float32 x 2 in a block worth keeping.
constexpr int kManyRows = 1 << 15;

// Numbers everything that waits, whole.
void NumberAll(SendQueue& queue) {
  while (queue.waiting()) queue.NumberNext(kPlenty);
}

std::vector<std::int64_t> Unsent(SendQueue& queue) {
  std::vector<std::int64_t> seqs;
  while (const SendQueue::Item item = queue.NextUnsent())
    seqs.push_back(item->message.samples().seq());
  return seqs;
}

TEST(SendQueueTest, ItemsAreNumberedInOrderFromOne) {
  SendQueue queue(kPlenty);
  for (int step = 0; step < 3; ++step) queue.Push(Batch(step, 1), 0);
  NumberAll(queue);
  EXPECT_THAT(Unsent(queue), ElementsAre(1, 2, 3));
  EXPECT_THAT(Unsent(queue), IsEmpty());
}

TEST(SendQueueTest, AContinuedRunIsNumberedBehindWhatTheServerHas) {
  SendQueue queue(kPlenty);
  queue.Push(Batch(0, 1), 0);
  queue.Resume(41);
  NumberAll(queue);
  EXPECT_THAT(Unsent(queue), ElementsAre(42));
}

TEST(SendQueueTest, OnlyWhatIsAboveResumeSeqIsSentAgain) {
  SendQueue queue(kPlenty);
  for (int step = 0; step < 4; ++step) queue.Push(Batch(step, 10), 0);
  NumberAll(queue);
  Unsent(queue);
  EXPECT_EQ(queue.Acknowledge(1), 10);
  EXPECT_EQ(queue.Resume(2), 10);
  EXPECT_THAT(Unsent(queue), ElementsAre(3, 4));
  EXPECT_EQ(queue.Acknowledge(4), 20);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0);
}

TEST(SendQueueTest, ARejectedItemIsNotSentAgain) {
  SendQueue queue(kPlenty);
  for (int step = 0; step < 3; ++step) queue.Push(Batch(step, 1), 0);
  NumberAll(queue);
  Unsent(queue);
  queue.Reject(2);
  queue.Resume(0);
  EXPECT_THAT(Unsent(queue), ElementsAre(1, 3));
}

TEST(SendQueueTest, RoomIsBoundedAndComesBackWithAcknowledgements) {
  const std::int64_t one = BytesOf(Batch(0, 4));
  SendQueue queue(2 * one);
  for (int step = 0; step < 2; ++step) {
    ASSERT_TRUE(queue.Reserve(one));
    queue.Push(Batch(step, 4), one);
  }
  EXPECT_FALSE(queue.Reserve(1));
  NumberAll(queue);
  EXPECT_FALSE(queue.Reserve(1)) << "sent is not durable";
  Unsent(queue);
  queue.Acknowledge(1);
  EXPECT_TRUE(queue.Reserve(one));
}

TEST(SendQueueTest, DroppedRowsAreReportedOnTheNextBatchOfTheirStep) {
  SendQueue queue(kPlenty);
  queue.Push(Batch(7, 1), 0);
  EXPECT_TRUE(queue.NeedsWord("train/a", 7));
  queue.NoteDropped("train/a", 7, 5);
  queue.NoteDropped("train/a", 7, 6);
  queue.Push(Batch(7, 1, "train/b"), 0);
  queue.Push(Batch(7, 1), 0);
  EXPECT_FALSE(queue.NeedsWord("train/a", 7));
  queue.Push(Batch(8, 1), 0);
  NumberAll(queue);
  std::vector<std::int64_t> dropped;
  while (const SendQueue::Item item = queue.NextUnsent()) {
    dropped.push_back(item->message.samples().dropped_rows());
  }
  EXPECT_THAT(dropped, ElementsAre(0, 0, 11, 0));
}

TEST(SendQueueTest, AStepDroppedAsAWholeDoesNotMarkTheNextOne) {
  SendQueue queue(kPlenty);
  queue.NoteDropped("train/a", 7, 5);
  EXPECT_FALSE(queue.NeedsWord("train/a", 7));
  queue.Push(Batch(8, 1), 0);
  NumberAll(queue);
  EXPECT_EQ(queue.NextUnsent()->message.samples().dropped_rows(), 0);
}

// Of what the allocator gave out.
std::int64_t AllocatedBytes() { return static_cast<std::int64_t>(mallinfo2().uordblks); }

TEST(SendQueueTest, SmallItemsTakeNoMoreMemoryThanIsCounted) {
  SendQueue queue(std::int64_t{1} << 40);
  std::int64_t before = AllocatedBytes();
  for (int step = 0; step < 5000; ++step) {
    QueuedItem batch = Batch(step, 3);
    const std::int64_t bytes = BytesOf(batch);
    ASSERT_TRUE(queue.Reserve(bytes));
    queue.Push(std::move(batch), bytes);
  }
  EXPECT_LE(AllocatedBytes() - before, queue.bytes());
  NumberAll(queue);
  EXPECT_LE(AllocatedBytes() - before, queue.bytes());
  queue.Clear();
  before = AllocatedBytes();
  for (int step = 0; step < 5000; ++step) {
    QueuedItem item;
    for (const char* name : {"train/loss", "train/accuracy", "validation/a-name-that-is-longer"}) {
      (*item.message.mutable_scalars()->mutable_values())[name] = step;
    }
    const std::int64_t bytes = BytesOf(item);
    ASSERT_TRUE(queue.Reserve(bytes));
    queue.Push(std::move(item), bytes);
  }
  EXPECT_LE(AllocatedBytes() - before, queue.bytes());
}

TEST(SendQueueTest, ABlockStaysCountedUntilItsLastPartLeaves) {
  SendQueue queue(kPlenty);
  QueuedItem whole = Batch(0, kManyRows);
  const std::int64_t block = whole.data->block.size();
  queue.Push(std::move(whole), 0);
  queue.NumberNext(block / 3);
  Unsent(queue);
  queue.Acknowledge(2);
  queue.Reject(4);
  EXPECT_GT(queue.bytes(), block);
  EXPECT_FALSE(queue.has_spares());
  queue.Acknowledge(3);
  EXPECT_EQ(queue.bytes(), 0);
  EXPECT_TRUE(queue.has_spares());
}

// A batch of kManyRows, sent.
SendQueue::Item SendLarge(SendQueue& queue) {
  queue.Push(Batch(0, kManyRows), 0);
  NumberAll(queue);
  return queue.NextUnsent();
}

TEST(SendQueueTest, ABlockServesTheNextBatchOfItsSize) {
  SendQueue queue(kPlenty);
  const char* const data = SendLarge(queue)->data->block.data();
  EXPECT_EQ(queue.TakeSpare(8 * kManyRows), nullptr) << "sent is not durable";
  queue.Acknowledge(1);
  EXPECT_EQ(queue.TakeSpare(2 * kManyRows), nullptr) << "far too large";
  EXPECT_EQ(queue.TakeSpare(16 * kManyRows), nullptr) << "too small";
  const std::shared_ptr<BatchData> spare = queue.TakeSpare(7 * kManyRows);
  ASSERT_NE(spare, nullptr);
  EXPECT_EQ(spare->block.data(), data);
  EXPECT_EQ(spare->parts, 1);
  EXPECT_FALSE(queue.has_spares());
}

TEST(SendQueueTest, ABlockThatIsBeingSentIsNotOverwritten) {
  SendQueue queue(kPlenty);
  const SendQueue::Item item = SendLarge(queue);
  queue.Acknowledge(1);
  EXPECT_FALSE(queue.has_spares());
  EXPECT_EQ(queue.bytes(), 0);
}

TEST(SendQueueTest, SpareBlocksGiveWayToWhatIsLogged) {
  const std::int64_t one = BytesOf(Batch(0, kManyRows));
  SendQueue queue(one);
  SendLarge(queue);
  queue.Acknowledge(1);
  ASSERT_TRUE(queue.Reserve(one - DataBlock::SizeFor(8 * kManyRows)));
  EXPECT_TRUE(queue.has_spares());
  ASSERT_TRUE(queue.Reserve(1));
  EXPECT_FALSE(queue.has_spares());
}

TEST(SplitBatchTest, PartsAreTheWholeAndOnlyTheLastEndsTheSnapshot) {
  QueuedItem whole = Batch(3, 7);
  whole.message.mutable_samples()->set_snapshot_end(true);
  whole.message.mutable_samples()->set_dropped_rows(9);
  const std::string data(whole.data->block.data(), static_cast<std::size_t>(whole.size));
  const std::vector<QueuedItem> parts = SplitBatch(whole, /*max_bytes=*/3 * 8 + 7);
  ASSERT_EQ(parts.size(), 3U);
  std::string joined;
  std::vector<int> rows;
  std::vector<std::int64_t> ids;
  for (const QueuedItem& part : parts) {
    const v1::SampleBatch& samples = part.message.samples();
    joined.append(part.data->block.data() + part.offset, static_cast<std::size_t>(part.size));
    rows.push_back(samples.rows());
    ids.insert(ids.end(), samples.sample_ids().begin(), samples.sample_ids().end());
    EXPECT_EQ(samples.step(), 3);
    EXPECT_EQ(samples.dim(), 2);
    EXPECT_EQ(samples.snapshot_end(), &part == &parts.back());
    EXPECT_EQ(samples.dropped_rows(), &part == &parts.front() ? 9 : 0);
  }
  EXPECT_EQ(joined, data);
  EXPECT_THAT(rows, ElementsAre(3, 3, 1));
  EXPECT_THAT(ids, ElementsAre(100, 101, 102, 103, 104, 105, 106));
}

TEST(SplitBatchTest, ARowThatIsTooLongStaysWhole) {
  EXPECT_EQ(SplitBatch(Batch(0, 3), 1).size(), 3U);
  EXPECT_EQ(SplitBatch(Batch(0, 1), 1).size(), 1U);
}

}  // namespace
}  // namespace dimwatch::client_internal
