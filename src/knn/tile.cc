#include "src/knn/tile.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dimwatch {
namespace {

// Completes columns [begin, end), at most kHitColumns of them.
void CompleteSome(float* row, float norm, const float* norms, float row_bound,
                  const float* column_bounds, std::size_t begin, std::size_t end,
                  std::uint16_t* row_hits, std::uint16_t* column_hits) {
  unsigned of_row = 0, of_columns = 0;
  for (std::size_t j = begin; j < end; ++j) {
    const float square = (norm + norms[j]) + row[j];
    row[j] = square < 0 ? 0 : square;
    of_row |= static_cast<unsigned>(row[j] <= row_bound) << (j - begin);
    of_columns |= static_cast<unsigned>(row[j] <= column_bounds[j]) << (j - begin);
  }
  row_hits[begin / kHitColumns] = static_cast<std::uint16_t>(of_row);
  column_hits[begin / kHitColumns] = static_cast<std::uint16_t>(of_columns);
}

using CompleteFunction = void (*)(float* row, float norm, const float* norms, float row_bound,
                                  const float* column_bounds, std::size_t words,
                                  std::uint16_t* row_hits, std::uint16_t* column_hits);

void CompleteAnywhere(float* row, float norm, const float* norms, float row_bound,
                      const float* column_bounds, std::size_t words, std::uint16_t* row_hits,
                      std::uint16_t* column_hits) {
  for (std::size_t j = 0; j < words * kHitColumns; j += kHitColumns) {
    CompleteSome(row, norm, norms, row_bound, column_bounds, j, j + kHitColumns, row_hits,
                 column_hits);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void CompleteAvx2(float* row, float norm, const float* norms,
                                                  float row_bound, const float* column_bounds,
                                                  std::size_t words, std::uint16_t* row_hits,
                                                  std::uint16_t* column_hits) {
  const __m256 norm8 = _mm256_set1_ps(norm), bound8 = _mm256_set1_ps(row_bound);
  for (std::size_t w = 0; w < words; ++w) {
    unsigned of_row = 0, of_columns = 0;
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t j = w * kHitColumns + half * 8;
      const __m256 sum = _mm256_add_ps(norm8, _mm256_loadu_ps(norms + j));
      const __m256 square =
          _mm256_max_ps(_mm256_add_ps(sum, _mm256_loadu_ps(row + j)), _mm256_setzero_ps());
      _mm256_storeu_ps(row + j, square);
      const __m256 in_row = _mm256_cmp_ps(square, bound8, _CMP_LE_OQ);
      const __m256 in_column =
          _mm256_cmp_ps(square, _mm256_loadu_ps(column_bounds + j), _CMP_LE_OQ);
      of_row |= static_cast<unsigned>(_mm256_movemask_ps(in_row)) << (half * 8);
      of_columns |= static_cast<unsigned>(_mm256_movemask_ps(in_column)) << (half * 8);
    }
    row_hits[w] = static_cast<std::uint16_t>(of_row);
    column_hits[w] = static_cast<std::uint16_t>(of_columns);
  }
}

__attribute__((target("avx512f"))) void CompleteAvx512(float* row, float norm, const float* norms,
                                                       float row_bound, const float* column_bounds,
                                                       std::size_t words, std::uint16_t* row_hits,
                                                       std::uint16_t* column_hits) {
  const __m512 norm16 = _mm512_set1_ps(norm), bound16 = _mm512_set1_ps(row_bound);
  for (std::size_t w = 0; w < words; ++w) {
    const std::size_t j = w * kHitColumns;
    const __m512 sum = _mm512_add_ps(norm16, _mm512_loadu_ps(norms + j));
    // GCC 12 takes what the plain maximum is made of for uninitialized.
    const __m512 square = _mm512_maskz_max_ps(0xffff, _mm512_add_ps(sum, _mm512_loadu_ps(row + j)),
                                              _mm512_setzero_ps());
    _mm512_storeu_ps(row + j, square);
    row_hits[w] = _mm512_cmp_ps_mask(square, bound16, _CMP_LE_OQ);
    column_hits[w] = _mm512_cmp_ps_mask(square, _mm512_loadu_ps(column_bounds + j), _CMP_LE_OQ);
  }
}
#endif

CompleteFunction BestComplete() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return &CompleteAvx512;
  if (__builtin_cpu_supports("avx2")) return &CompleteAvx2;
#endif
  return &CompleteAnywhere;
}

}  // namespace

void CompleteTileRow(std::span<float> row, float norm, const float* norms, float row_bound,
                     const float* column_bounds, std::uint16_t* row_hits,
                     std::uint16_t* column_hits) {
  static const CompleteFunction best = BestComplete();
  const std::size_t words = row.size() / kHitColumns;
  best(row.data(), norm, norms, row_bound, column_bounds, words, row_hits, column_hits);
  if (words * kHitColumns == row.size()) return;
  CompleteSome(row.data(), norm, norms, row_bound, column_bounds, words * kHitColumns, row.size(),
               row_hits, column_hits);
}

}  // namespace dimwatch
