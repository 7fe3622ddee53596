#include "src/base/dtype.h"

#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>

namespace dimwatch {
namespace {

static_assert(std::endian::native == std::endian::little);

// Without a branch, so that a compiler can take several at once.
float FromHalf(std::uint16_t half) {
  constexpr std::uint32_t kInfinity = 0x7f800000u;
  constexpr float kRebias = 0x1p112f;  // exponents are 127 - 15 too small
  const std::uint32_t bits = (half & 0x7fffu) << 13;
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(bits) * kRebias);
  const std::uint32_t special = (half & 0x7c00u) == 0x7c00u ? kInfinity : 0;  // infinity or NaN
  const std::uint32_t sign = (half & 0x8000u) << 16;
  return std::bit_cast<float>(finite | special | sign);
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
