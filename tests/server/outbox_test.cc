#include "server/outbox.h"

#include <gmock/gmock.h>

#include "server/limits.h"

namespace dimwatch::server {
namespace {

v1::Estimate EstimateOf(const std::string& probe, std::int64_t step) {
  v1::Estimate estimate;
  estimate.set_probe(probe);
  estimate.set_step(step);
  return estimate;
}

std::vector<v1::IngestResponse> DrainAll(Outbox& outbox) {
  std::vector<v1::IngestResponse> all;
  while (std::optional<v1::IngestResponse> next = outbox.Next()) all.push_back(*std::move(next));
  return all;
}

TEST(OutboxTest, AcksMeltIntoTheNewest) {
  Outbox outbox;
  for (int i = 1; i <= 1000; ++i) outbox.Ack(i, i - 1);
  const std::vector<v1::IngestResponse> all = DrainAll(outbox);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].ack().received_seq(), 1000);
  EXPECT_EQ(all[0].ack().durable_seq(), 999);
  outbox.Ack(1000, 999);
  EXPECT_FALSE(outbox.Next()) << "nothing changed";
}

TEST(OutboxTest, NackGoesBeforeTheAckThatCoversIt) {
  Outbox outbox;
  outbox.Ack(5, 5);
  v1::Nack nack;
  nack.set_seq(5);
  outbox.Nack(nack);
  const std::vector<v1::IngestResponse> all = DrainAll(outbox);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].has_nack());
  EXPECT_TRUE(all[1].has_ack());
}

TEST(OutboxTest, AcksDoNotStarveEvents) {
  Outbox outbox;
  outbox.Add(EstimateOf("p", 1));
  outbox.Ack(1, 1);
  EXPECT_TRUE(outbox.Next()->has_ack());
  outbox.Ack(2, 2);
  EXPECT_TRUE(outbox.Next()->has_estimate());
}

TEST(OutboxTest, SlowReaderKeepsTheNewestOfEachProbeInOrder) {
  Outbox outbox;
  const auto many = static_cast<std::int64_t>(kMaxQueuedEvents) * 10;
  outbox.Add(EstimateOf("quiet", 1));
  for (std::int64_t step = 1; step <= many; ++step) outbox.Add(EstimateOf("busy", step));
  const std::vector<v1::IngestResponse> all = DrainAll(outbox);
  EXPECT_LE(all.size(), kMaxQueuedEvents + 1);
  EXPECT_EQ(all[0].estimate().probe(), "quiet");
  for (std::size_t i = 2; i < all.size(); ++i) {
    EXPECT_EQ(all[i].estimate().step(), all[i - 1].estimate().step() + 1);
  }
  EXPECT_EQ(all.back().estimate().step(), many);
}

TEST(OutboxTest, FullOfNacksUntilTheyAreRead) {
  Outbox outbox;
  for (std::size_t i = 0; i < kMaxQueuedNacks; ++i) outbox.Nack({});
  EXPECT_TRUE(outbox.nacks_full());
  outbox.Next();
  EXPECT_FALSE(outbox.nacks_full());
}

TEST(OutboxTest, DrainingIsTheLastWord) {
  Outbox outbox;
  outbox.Drain();
  outbox.Add(EstimateOf("p", 1));
  outbox.Ack(1, 1);
  const std::vector<v1::IngestResponse> all = DrainAll(outbox);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_TRUE(all[2].has_draining());
}

}  // namespace
}  // namespace dimwatch::server
