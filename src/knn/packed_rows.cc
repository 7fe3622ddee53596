#include "src/knn/packed_rows.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "src/knn/products.h"

namespace dimwatch {
namespace {

#if defined(__x86_64__)
constexpr std::size_t kColumns = 16;  // of a panel
constexpr std::size_t kMostPanels = 4;
using Floats16 = float __attribute__((vector_size(64), may_alias));

// The products of kRows rows with kPanels panels, whose sums stay in registers, written for no more
// than `columns`. Meanwhile the rows at `next` are asked for, unless that is null.
template <std::size_t kRows, std::size_t kPanels>
__attribute__((target("avx512f"))) void MultiplyBlock(const float* left, const float* panels,
                                                      std::size_t dim, float scale,
                                                      const float* next, std::size_t columns,
                                                      float* out, std::size_t stride) {
  Floats16 sums[kRows][kPanels] = {};
  for (std::size_t begin = 0; begin < dim; begin += kColumns) {
    if (next != nullptr) {
      for (std::size_t r = 0; r < kRows; ++r) __builtin_prefetch(next + r * dim + begin, 0, 2);
    }
    const std::size_t end = std::min(dim, begin + kColumns);
    for (std::size_t k = begin; k < end; ++k) {
      Floats16 right[kPanels];
#pragma GCC unroll 4
      for (std::size_t p = 0; p < kPanels; ++p) {
        right[p] = *reinterpret_cast<const Floats16*>(panels + (p * dim + k) * kColumns);
      }
#pragma GCC unroll 6
      for (std::size_t r = 0; r < kRows; ++r) {
        const float value = left[r * dim + k];
#pragma GCC unroll 4
        for (std::size_t p = 0; p < kPanels; ++p) sums[r][p] += value * right[p];
      }
    }
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kPanels; ++p) {
      const Floats16 products = scale * sums[r][p];
      const std::size_t width = std::min(kColumns, columns - p * kColumns);
      std::memcpy(out + r * stride + p * kColumns, &products, width * sizeof(float));
    }
  }
}

template <std::size_t kRows>
void MultiplySome(const float* left, const float* panels, std::size_t dim, float scale,
                  const float* next, std::size_t columns, float* out) {
  constexpr auto kBlocks = std::array{&MultiplyBlock<kRows, 1>, &MultiplyBlock<kRows, 2>,
                                      &MultiplyBlock<kRows, 3>, &MultiplyBlock<kRows, kMostPanels>};
  for (std::size_t first = 0; first < columns; first += kMostPanels * kColumns) {
    const std::size_t panels_left = (columns - first + kColumns - 1) / kColumns;
    kBlocks[std::min(panels_left, kMostPanels) - 1](left, panels + first * dim, dim, scale,
                                                    first == 0 ? next : nullptr, columns - first,
                                                    out + first, columns);
  }
}

bool HasAvx512() {
  static const bool has = __builtin_cpu_supports("avx512f");
  return has;
}
#endif

}  // namespace

PackedRows::PackedRows(const float* rows, std::size_t count, std::size_t dim)
    : count_(count), dim_(dim) {
#if defined(__x86_64__)
  if (HasAvx512()) {
    panels_.resize((count + kColumns - 1) / kColumns * dim);
    for (std::size_t row = 0; row < count; ++row) {
      Line* const panel = &panels_[row / kColumns * dim];
      for (std::size_t k = 0; k < dim; ++k) {
        panel[k].columns[row % kColumns] = rows[row * dim + k];
      }
    }
    return;
  }
#endif
  rows_.assign(rows, rows + count * dim);
}

void PackedRows::Multiply(const float* left, std::size_t rows, float scale, float* out) const {
#if defined(__x86_64__)
  if (HasAvx512()) {
    const float* const panels = panels_.data()->columns;
    std::size_t row = 0;
    for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) {
      const float* const here = left + row * dim_;
      const float* const next = row + 2 * kRowsAtOnce <= rows ? here + kRowsAtOnce * dim_ : nullptr;
      MultiplySome<kRowsAtOnce>(here, panels, dim_, scale, next, count_, out + row * count_);
    }
    for (; row < rows; ++row) {
      MultiplySome<1>(left + row * dim_, panels, dim_, scale, nullptr, count_, out + row * count_);
    }
    return;
  }
#endif
  MultiplyRows(left, rows, rows_.data(), count_, dim_, scale, out);
}

}  // namespace dimwatch
