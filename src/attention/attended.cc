#include "src/attention/attended.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

namespace dimwatch {
namespace {

struct Format {
  int significant_bits = 0;
  int least_exponent = 0;  // of the smallest positive number, a power of two
};

Format FormatOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return {11, -24};
    case DType::kBF16:
      return {8, -133};
    case DType::kF32:
    case DType::kF64:  // decoded to float32
      return {24, -149};
  }
  return {};
}

// To the nearest number of the type, ties to even. REQUIRES: 0 <= value < 1.
double RoundTo(DType dtype, double value) {
  const Format format = FormatOf(dtype);
  int exponent = 0;
  std::frexp(value, &exponent);
  const int unit = std::max(exponent - format.significant_bits, format.least_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, -unit)), unit);
}

// Where a prompt is among the positions.
struct Span {
  std::size_t first = 0;
  std::size_t query = 0;
};

absl::StatusOr<Span> SpanOf(const AttentionRows& rows, std::size_t prompt) {
  const std::int64_t first = rows.first_positions.empty() ? 0 : rows.first_positions[prompt];
  const std::int64_t last = static_cast<std::int64_t>(rows.positions) - 1;
  const std::int64_t query = rows.query_positions.empty() ? last : rows.query_positions[prompt];
  if (first < 0 || first > query || query > last) {
    return absl::InvalidArgumentError(
        absl::StrCat("prompt ", prompt, ": first position ", first, " and query position ", query,
                     " got; allowed is 0 <= first <= query <= ", last));
  }
  return Span{static_cast<std::size_t>(first), static_cast<std::size_t>(query)};
}

double Sum(std::span<const float> weights) {
  double sum = 0;
  for (const float weight : weights) sum += weight;
  return sum;
}

// What is wrong with a finite row; empty for a sound one.
std::string Problem(std::span<const float> row, Span span, DType dtype) {
  const auto negative = std::ranges::find_if(row, [](float weight) { return weight < 0; });
  if (negative != row.end()) {
    return absl::StrCat("weight ", *negative, " at position ", negative - row.begin(),
                        "; post-softmax weights are 0 and greater");
  }
  if (const double future = Sum(row.subspan(span.query + 1)); future > kMostOutside) {
    return absl::StrCat("weight ", future, " lies behind the query at position ", span.query,
                        "; a causal map has 0 there");
  }
  if (const double padding = Sum(row.first(span.first)); padding > kMostOutside) {
    return absl::StrCat("weight ", padding, " lies before the first token at position ", span.first,
                        "; a map without its padding has 0 there");
  }
  const double sum = Sum(row);
  const double tolerance = RowSumTolerance(dtype, row.size());
  if (std::abs(sum - 1) <= tolerance) return "";
  return absl::StrCat("the weights sum to ", sum, "; 1 within ", tolerance,
                      " is allowed: post-softmax weights, before any dropout");
}

std::int64_t CountRow(std::span<const float> inside, DType dtype,
                      const AttentionSettings& settings) {
  const double scale = settings.relative ? *std::ranges::max_element(inside) : 1.0;
  const double threshold = RoundTo(dtype, settings.epsilon * scale);
  const auto count =
      std::ranges::count_if(inside, [threshold](double weight) { return weight > threshold; });
  return std::min<std::int64_t>(count,
                                MostAttended(settings, static_cast<std::int64_t>(inside.size())));
}

bool IsFinite(std::span<const float> weights) {
  return std::ranges::all_of(weights, [](float weight) { return std::isfinite(weight); });
}

}  // namespace

absl::StatusOr<std::vector<std::optional<std::int64_t>>> CountAttended(
    const AttentionRows& rows, const AttentionSettings& settings) {
  const std::size_t row_bytes = rows.positions * SizeOf(rows.dtype);
  assert(rows.data.size() == rows.prompts * rows.heads * row_bytes);
  std::vector<std::optional<std::int64_t>> attended(rows.prompts, 0);
  std::vector<float> row(rows.positions);
  for (std::size_t prompt = 0; prompt < rows.prompts; ++prompt) {
    const absl::StatusOr<Span> span = SpanOf(rows, prompt);
    if (!span.ok()) return span.status();
    for (std::size_t head = 0; head < rows.heads; ++head) {
      DecodeComponents(rows.dtype,
                       rows.data.substr((prompt * rows.heads + head) * row_bytes, row_bytes), row);
      if (!IsFinite(row)) {
        attended[prompt].reset();
        continue;
      }
      if (const std::string problem = Problem(row, *span, rows.dtype); !problem.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("prompt ", prompt, ", head ", head, ": ", problem));
      }
      if (!attended[prompt]) continue;
      *attended[prompt] += CountRow(
          std::span(row).subspan(span->first, span->query + 1 - span->first), rows.dtype, settings);
    }
  }
  return attended;
}

std::int64_t MostAttended(const AttentionSettings& settings, std::int64_t positions) {
  if (settings.relative) return positions;
  constexpr double kTiny = 1e-9;
  const double most = std::floor(1 / settings.epsilon - kTiny);
  return most < static_cast<double>(positions) ? static_cast<std::int64_t>(most) : positions;
}

double RowSumTolerance(DType dtype, std::size_t positions) {
  if (dtype == DType::kF32 || dtype == DType::kF64) return 1e-3;
  const Format format = FormatOf(dtype);
  return std::ldexp(4.0, -format.significant_bits) +
         static_cast<double>(positions) * std::ldexp(0.5, format.least_exponent);
}

}  // namespace dimwatch
