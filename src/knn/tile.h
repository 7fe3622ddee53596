// From a tile of inner products to squared distances and the candidates among them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dimwatch {

// Columns that one word of hits tells of.
inline constexpr std::size_t kHitColumns = 16;

// Turns one row of a tile, -2 x.y for a row x and each column y, into rough squared distances
// max(0, |x|^2 + |y|^2 - 2 x.y), and says which are not above a bound: bit j % kHitColumns of
// row_hits[j / kHitColumns] for the row's bound, of column_hits for the column's own.
// `norms` are the |y|^2. Thread-safe.
void CompleteTileRow(std::span<float> row, float norm, const float* norms, float row_bound,
                     const float* column_bounds, std::uint16_t* row_hits,
                     std::uint16_t* column_hits);

}  // namespace dimwatch
