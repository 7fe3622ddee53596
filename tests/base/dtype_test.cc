#include "src/base/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace dimwatch {
namespace {

template <typename T>
std::vector<float> Decode(DType dtype, const std::vector<T>& raw) {
  std::string bytes(raw.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), raw.data(), bytes.size());
  std::vector<float> out(raw.size());
  DecodeComponents(dtype, bytes, out);
  return out;
}

// The value of a half by its definition (IEEE 754-2008, binary16).
float HalfByDefinition(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1f, mantissa = half & 0x3ff;
  const float sign = (half & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

TEST(DTypeTest, EveryHalfDecodesToItsValue) {
  std::vector<std::uint16_t> all(65'536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const std::vector<float> values = Decode(DType::kF16, all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float expected = HalfByDefinition(all[i]);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[i])) << i;
    } else {
      ASSERT_EQ(values[i], expected) << i;
      ASSERT_EQ(std::signbit(values[i]), std::signbit(expected)) << i;
    }
  }
}

TEST(DTypeTest, BfloatIsTheUpperHalfOfAFloat) {
  const std::vector<float> values =
      Decode<std::uint16_t>(DType::kBF16, {0x3f80, 0xc0a0, 0x0000, 0x7f80, 0x7fc0});
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -5.0f);
  EXPECT_EQ(values[2], 0.0f);
  EXPECT_TRUE(std::isinf(values[3]));
  EXPECT_TRUE(std::isnan(values[4]));
}

TEST(DTypeTest, DoublesAreRoundedAndOverflowToInfinity) {
  const std::vector<float> values = Decode<double>(DType::kF64, {0.1, -1e300, 1e-300});
  EXPECT_EQ(values[0], 0.1f);
  EXPECT_EQ(values[1], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[2], 0.0f);
}

TEST(DTypeTest, FloatsPassUnchanged) {
  const std::vector<float> values =
      Decode<float>(DType::kF32, {1.5f, -0.0f, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_TRUE(std::signbit(values[1]));
  EXPECT_TRUE(std::isnan(values[2]));
}

TEST(DTypeTest, SizesAreBytesOfAComponent) {
  EXPECT_EQ(SizeOf(DType::kF16), 2u);
  EXPECT_EQ(SizeOf(DType::kBF16), 2u);
  EXPECT_EQ(SizeOf(DType::kF32), 4u);
  EXPECT_EQ(SizeOf(DType::kF64), 8u);
}

}  // namespace
}  // namespace dimwatch
