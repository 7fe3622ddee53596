#include "src/store/ingest_item.h"

#include <gtest/gtest.h>

namespace dimwatch {
namespace {

TEST(IngestItemTest, SeqIsThatOfItsKind) {
  EXPECT_EQ(SeqOf(DeclarationItem{.seq = 3, .settings = {}}), 3);
  EXPECT_EQ(SeqOf(ScalarItem{.seq = 5, .step = {}, .values = {}}), 5);
  SampleItem samples;
  samples.seq = 4;
  EXPECT_EQ(SeqOf(samples), 4);
}

TEST(IngestItemTest, BytesGrowWithWhatTheItemHolds) {
  SampleItem samples;
  const std::int64_t empty = BytesOf(samples);
  samples.data.resize(4096);
  samples.sample_ids.resize(10);
  EXPECT_EQ(BytesOf(samples), empty + 4096 + 80);

  ScalarItem scalars;
  const std::int64_t none = BytesOf(scalars);
  scalars.values = {{"loss", 1.0}, {"accuracy", 0.5}};
  EXPECT_GE(BytesOf(scalars), none + 2 * static_cast<std::int64_t>(sizeof(double)) + 12);
}

}  // namespace
}  // namespace dimwatch
