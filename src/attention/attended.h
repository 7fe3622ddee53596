// The attention-graph dimension of a prompt (Cosentino & Shekkizhar 2024, arXiv 2407.02678): at one
// layer, for the token at position i,
//   ID_eps(i) = sum over the heads h of #{ j <= i : Attn_h(i, j) > eps }
// The comparison is strict. Deviations: eps is first rounded to the type of the weights, so that a
// weight that equals it in that type is not above it; and no head counts more than MostAttended,
// which rounding alone could exceed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "src/attention/settings.h"
#include "src/base/dtype.h"

namespace dimwatch {

// Of one layer: for each prompt and head the post-softmax row of one token, the query.
struct AttentionRows {
  DType dtype = DType::kF32;
  std::size_t prompts = 0;
  std::size_t heads = 0;
  std::size_t positions = 0;
  std::string_view data;  // prompts x heads x positions, row-major, little-endian
  // Empty, or one per prompt: its first token (default 0; padding comes before) and its query
  // (default positions - 1; what comes behind is the future, or padding).
  std::span<const std::int32_t> first_positions;
  std::span<const std::int32_t> query_positions;
};

// ID_eps at the query of each prompt; none where a weight is NaN or infinite. INVALID_ARGUMENT,
// with prompt, head and value, where a weight is negative, where a row does not sum to 1 within
// RowSumTolerance, where it has weight outside first..query, or where 0 <= first <= query <
// positions does not hold. REQUIRES: `data` and the positions have the sizes that they should;
// settings are valid. Thread-safe.
absl::StatusOr<std::vector<std::optional<std::int64_t>>> CountAttended(
    const AttentionRows& rows, const AttentionSettings& settings);

// The most that one head can count among `positions`: weights that sum to 1 are above epsilon at
// most floor(1 / epsilon - tiny) times; a relative threshold all of them may exceed.
std::int64_t MostAttended(const AttentionSettings& settings, std::int64_t positions);

// By how much the sum of a row may differ from 1. float16 and bfloat16: four roundings of weights
// that sum to 1, and one of each weight that is too small for a full mantissa. Otherwise 0.001.
double RowSumTolerance(DType dtype, std::size_t positions);

// The weight outside a prompt that is taken for 0: what a mask of finite size leaves.
inline constexpr double kMostOutside = 1e-6;

}  // namespace dimwatch
