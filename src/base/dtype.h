// Component types of vectors on the wire and on disk, and their decoding to float32.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace dimwatch {

enum class DType { kF32, kF16, kBF16, kF64 };

// Bytes per component.
std::size_t SizeOf(DType dtype);

// Decodes components into `out`. `bytes` is little-endian; float64 is rounded to float32 (out of
// range: infinity); NaN and infinities pass through. REQUIRES: bytes.size() == out.size() *
// SizeOf(dtype).
void DecodeComponents(DType dtype, std::string_view bytes, std::span<float> out);

}  // namespace dimwatch
