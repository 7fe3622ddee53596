#include "src/base/dtype.h"

#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>

namespace dimwatch {
namespace {

static_assert(std::endian::native == std::endian::little);

float FromHalf(std::uint16_t half) {
  constexpr std::uint32_t kExponent = 0x7c00u << 13;
  constexpr std::uint32_t kSmallestNormal = 113u << 23;
  std::uint32_t bits = (half & 0x7fffu) << 13;
  const std::uint32_t exponent = bits & kExponent;
  bits += (127u - 15u) << 23;
  if (exponent == kExponent) bits += (128u - 16u) << 23;  // infinity or NaN
  float value = std::bit_cast<float>(bits);
  if (exponent == 0) {  // zero or subnormal
    value = std::bit_cast<float>(bits + (1u << 23)) - std::bit_cast<float>(kSmallestNormal);
  }
  return (half & 0x8000u) != 0 ? -value : value;
}

float FromBfloat(std::uint16_t bfloat) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat) << 16);
}

template <typename Raw, typename Convert>
void Decode(std::string_view bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Raw raw;
    std::memcpy(&raw, bytes.data() + i * sizeof(Raw), sizeof(Raw));
    out[i] = convert(raw);
  }
}

}  // namespace

std::size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kF32:
      return 4;
    case DType::kF64:
      return 8;
  }
  return 0;
}

void DecodeComponents(DType dtype, std::string_view bytes, std::span<float> out) {
  assert(bytes.size() == out.size() * SizeOf(dtype));
  if (out.empty()) return;
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return;
    case DType::kF16:
      return Decode<std::uint16_t>(bytes, out, FromHalf);
    case DType::kBF16:
      return Decode<std::uint16_t>(bytes, out, FromBfloat);
    case DType::kF64:
      return Decode<double>(bytes, out, [](double value) { return static_cast<float>(value); });
  }
}

}  // namespace dimwatch
