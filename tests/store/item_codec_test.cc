#include "src/store/item_codec.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/store/describe.h"
#include "tests/store/random_records.h"

namespace dimwatch {
namespace {

std::string Encoded(const IngestItem& item) {
  const absl::StatusOr<EncodedItem> encoded = EncodeItem(item);
  EXPECT_TRUE(encoded.ok()) << encoded.status();
  return encoded->head + std::string(encoded->tail);
}

TEST(ItemCodecTest, ItemsComeBackBitForBit) {
  RandomRecords random(1);
  for (int i = 0; i < 500; ++i) {
    const IngestItem item = random.Item(i);
    const std::optional<IngestItem> decoded = DecodeItem(Encoded(item));
    ASSERT_TRUE(decoded.has_value()) << Describe(item);
    EXPECT_EQ(Describe(*decoded), Describe(item));
  }
}

TEST(ItemCodecTest, APrefixOfADeclarationOrOfScalarsIsNoItem) {
  RandomRecords random(2);
  const DeclarationItem declaration{7, random.Probe("train/last")};
  const ScalarItem scalars{8, Step{3}, {{"loss", 0.5}, {"accuracy", 0.25}}};
  for (const std::string& whole : {Encoded(declaration), Encoded(scalars)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(DecodeItem(std::string_view(whole).substr(0, size)).has_value()) << size;
    }
    EXPECT_FALSE(DecodeItem(whole + "x").has_value());
  }
}

TEST(ItemCodecTest, LengthsBeyondTheBytesAreRefusedWithoutAllocating) {
  RandomRecords random(3);
  const std::string whole = Encoded(random.Samples(9, 3, 4));
  for (std::size_t at = 0; at + 8 <= whole.size(); ++at) {
    std::string hostile = whole;
    hostile.replace(at, 8, 8, '\xff');
    const std::optional<IngestItem> decoded = DecodeItem(hostile);
    if (!decoded.has_value()) continue;
    const auto* samples = std::get_if<SampleItem>(&*decoded);
    ASSERT_NE(samples, nullptr);
    EXPECT_LE(samples->data.size() + samples->probe.size() + 8 * samples->sample_ids.size(),
              whole.size());
  }
}

TEST(ItemCodecTest, RandomBytesNeverHarm) {
  RandomRecords random(4);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(static_cast<std::size_t>(random.Int(0, 80)), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Int(0, 255));
    if (!bytes.empty()) bytes[0] = static_cast<char>(random.Int(0, 4));
    DecodeItem(bytes);
  }
}

TEST(ItemCodecTest, DeclarationWithTextThatIsNotUtf8IsRefused) {
  DeclarationItem declaration;
  declaration.settings.identity.layer = "\xff";
  EXPECT_TRUE(absl::IsInvalidArgument(EncodeItem(declaration).status()));
}

}  // namespace
}  // namespace dimwatch
