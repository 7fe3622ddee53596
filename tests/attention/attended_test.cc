#include "src/attention/attended.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>

namespace dimwatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Row = std::vector<double>;
using Counts = std::vector<std::optional<std::int64_t>>;

constexpr DType kAllTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kF64};

std::uint16_t HalfOf(double weight) {
  if (weight < 0x1p-14) return static_cast<std::uint16_t>(std::nearbyint(weight * 0x1p24));
  int exponent = 0;
  const double mantissa = std::frexp(weight, &exponent);
  return static_cast<std::uint16_t>(((exponent + 14) << 10) +
                                    static_cast<int>(std::nearbyint((2 * mantissa - 1) * 1024)));
}

std::uint16_t BfloatOf(double weight) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(weight));
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <typename Raw>
void Append(Raw raw, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&raw), sizeof raw);
}

std::string Encode(DType dtype, const std::vector<Row>& rows) {
  std::string bytes;
  for (const Row& row : rows) {
    for (const double weight : row) {
      if (dtype == DType::kF32) Append(static_cast<float>(weight), bytes);
      if (dtype == DType::kF64) Append(weight, bytes);
      if (dtype == DType::kF16) Append(HalfOf(weight), bytes);
      if (dtype == DType::kBF16) Append(BfloatOf(weight), bytes);
    }
  }
  return bytes;
}

// `rows`: those of the heads of the first prompt, then of the next.
struct Input {
  std::vector<Row> rows;
  std::size_t heads = 1;
  DType dtype = DType::kF32;
  std::vector<std::int32_t> first = {};
  std::vector<std::int32_t> query = {};
};

absl::StatusOr<Counts> Count(const Input& input, const AttentionSettings& settings = {}) {
  const std::string data = Encode(input.dtype, input.rows);
  return CountAttended({.dtype = input.dtype,
                        .prompts = input.rows.size() / input.heads,
                        .heads = input.heads,
                        .positions = input.rows.front().size(),
                        .data = data,
                        .first_positions = input.first,
                        .query_positions = input.query},
                       settings);
}

// Of one prompt.
std::int64_t CountOne(const Input& input, const AttentionSettings& settings = {}) {
  const absl::StatusOr<Counts> counts = Count(input, settings);
  EXPECT_TRUE(counts.ok()) << counts.status();
  return counts.ok() && counts->size() == 1 ? counts->front().value_or(-1) : -1;
}

std::string Problem(const Input& input, const AttentionSettings& settings = {}) {
  const absl::StatusOr<Counts> counts = Count(input, settings);
  EXPECT_TRUE(absl::IsInvalidArgument(counts.status())) << counts.status();
  return std::string(counts.status().message());
}

Row Softmax(std::size_t positions, double sharpness, std::mt19937& random) {
  std::normal_distribution<double> normal;
  Row row(positions);
  for (double& weight : row) weight = std::exp(sharpness * normal(random));
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  for (double& weight : row) weight /= sum;
  return row;
}

TEST(AttendedTest, CountsOverTheHeadsOfEachPrompt) {
  const Input input{.rows = {{0.5, 0.3, 0.15, 0.05},
                             {0.97, 0.01, 0.01, 0.01},  // prompt 0: 3 + 1
                             {0.25, 0.25, 0.25, 0.25},
                             {0.05, 0.05, 0.4, 0.5}},  // 4 + 2
                    .heads = 2};
  EXPECT_THAT(*Count(input), ElementsAre(4, 6));
}

TEST(AttendedTest, OneTokenAttendsToItself) {
  EXPECT_EQ(CountOne({.rows = {{1.0}}}), 1);
  EXPECT_EQ(CountOne({.rows = {{1.0}}}, {.epsilon = 0.5, .relative = true}), 1);
}

TEST(AttendedTest, AllMassOnOneTokenCountsOncePerHead) {
  EXPECT_EQ(CountOne({.rows = {{0, 0, 1, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}}, .heads = 3}), 3);
}

TEST(AttendedTest, OneHeadIsEnough) { EXPECT_EQ(CountOne({.rows = {{0.6, 0.4}}, .heads = 1}), 2); }

TEST(AttendedTest, AWeightThatEqualsEpsilonIsNotCounted) {
  for (const DType dtype : kAllTypes) {
    EXPECT_EQ(CountOne({.rows = {{0.1, 0.9}}, .dtype = dtype}), 1) << static_cast<int>(dtype);
    EXPECT_EQ(CountOne({.rows = {{0.5, 0.25, 0.25}}, .dtype = dtype}, {.epsilon = 0.25}), 1);
  }
}

TEST(AttendedTest, UniformAttentionCountsAllOrNothing) {
  for (const DType dtype : kAllTypes) {
    for (const std::size_t positions : {2U, 5U, 9U, 10U, 11U, 40U}) {
      const Row uniform(positions, 1 / static_cast<double>(positions));
      const auto all = static_cast<std::int64_t>(positions);
      EXPECT_EQ(CountOne({.rows = {uniform}, .dtype = dtype}), positions < 10 ? all : 0)
          << positions;
      EXPECT_EQ(CountOne({.rows = {uniform}, .dtype = dtype}, {.relative = true}), all);
    }
  }
}

TEST(AttendedTest, ARelativeThresholdIsAShareOfTheLargestWeight) {
  const Input input{.rows = {{0.5, 0.3, 0.1, 0.05, 0.05}}};
  EXPECT_EQ(CountOne(input, {.epsilon = 0.1, .relative = true}), 3);  // 0.05 equals 0.1 x 0.5
  EXPECT_EQ(CountOne(input, {.epsilon = 0.099, .relative = true}), 5);
  EXPECT_EQ(CountOne(input, {.epsilon = 0.6, .relative = true}), 1);
}

TEST(AttendedTest, NoWeightIsAboveAnEpsilonOfOneOrMore) {
  for (const double epsilon : {1.0, 1.5, 100.0}) {
    EXPECT_EQ(MostAttended({.epsilon = epsilon}, 8), 0);
  }
}

TEST(AttendedTest, AHeadCountsAtMostFloorOfOneByEpsilon) {
  EXPECT_EQ(MostAttended({.epsilon = 0.1}, 100), 9);
  EXPECT_EQ(MostAttended({.epsilon = 0.25}, 100), 3);
  EXPECT_EQ(MostAttended({.epsilon = 0.3}, 100), 3);
  EXPECT_EQ(MostAttended({.epsilon = 1e-300}, 100), 100);
  EXPECT_EQ(MostAttended({.epsilon = 0.1}, 4), 4);
  EXPECT_EQ(MostAttended({.epsilon = 0.1, .relative = true}, 100), 100);
  // Ten weights of 0.1 and a little: within the tolerance of their sum, beyond the bound.
  EXPECT_EQ(CountOne({.rows = {Row(10, 0.10004)}}), 9);
}

TEST(AttendedTest, PaddingOnEitherSideChangesNothing) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    const Row row = Softmax(7, 1.5, random);
    Row left(3, 0.0), right = row;
    left.insert(left.end(), row.begin(), row.end());
    right.resize(10, 0.0);
    const std::int64_t bare = CountOne({.rows = {row}});
    EXPECT_EQ(CountOne({.rows = {left}, .first = {3}}), bare);
    EXPECT_EQ(CountOne({.rows = {right}, .query = {6}}), bare);
  }
}

TEST(AttendedTest, WeightBehindTheQueryIsAnError) {
  EXPECT_EQ(Problem({.rows = {{1, 0, 0}, {0.5, 0.2, 0.3}}, .query = {2, 1}}),
            "prompt 1, head 0: weight 0.3 lies behind the query at position 1; a causal map has 0 "
            "there");
}

TEST(AttendedTest, WeightOnPaddingIsAnError) {
  EXPECT_THAT(Problem({.rows = {{0.25, 0.25, 0.5}}, .first = {2}}),
              HasSubstr("head 0: weight 0.5 lies before the first token at position 2"));
  // What a mask of -30 leaves is taken for none.
  EXPECT_EQ(CountOne({.rows = {{1e-13, 0.4, 0.6}}, .first = {1}}), 2);
}

TEST(AttendedTest, RowsThatAreNoProbabilitiesAreErrors) {
  EXPECT_THAT(Problem({.rows = {{0.5, 0.5}, {0.5, 0.61}}, .heads = 2}),
              HasSubstr("prompt 0, head 1: the weights sum to 1.11; 1 within 0.001 is allowed: "
                        "post-softmax weights, before any dropout"));
  EXPECT_THAT(Problem({.rows = {{2.5, -1.5}}}),
              HasSubstr("weight -1.5 at position 1; post-softmax weights are 0 and greater"));
  EXPECT_THAT(Problem({.rows = {{0, 0}}}), HasSubstr("sum to 0"));
}

TEST(AttendedTest, PositionsOutOfOrderAreErrors) {
  EXPECT_EQ(Problem({.rows = {{0.5, 0.5}}, .query = {2}}),
            "prompt 0: first position 0 and query position 2 got; allowed is 0 <= first <= query "
            "<= 1");
  EXPECT_THAT(Problem({.rows = {{0.5, 0.5}}, .first = {1}, .query = {0}}), HasSubstr("first <="));
  EXPECT_THAT(Problem({.rows = {{0.5, 0.5}}, .first = {-1}}), HasSubstr("first position -1"));
}

TEST(AttendedTest, RoundingToTheTypeIsNoError) {
  std::mt19937 random(2);
  for (const DType dtype : kAllTypes) {
    for (const std::size_t positions : {1U, 3U, 50U, 1000U, 20'000U}) {
      for (const double sharpness : {0.0, 1.0, 4.0}) {
        const Input input{.rows = {Softmax(positions, sharpness, random)}, .dtype = dtype};
        EXPECT_TRUE(Count(input).ok()) << Count(input).status() << ", " << positions;
      }
    }
  }
}

TEST(AttendedTest, HalvesMayDifferFromOneByMoreThanFloats) {
  const Row row = {0.25, 0.25, 0.25, 0.2515};
  EXPECT_THAT(Problem({.rows = {row}}), HasSubstr("sum to 1.0015"));
  EXPECT_TRUE(Count({.rows = {row}, .dtype = DType::kF16}).ok());
  EXPECT_TRUE(Count({.rows = {{0.25, 0.25, 0.25, 0.26}}, .dtype = DType::kBF16}).ok());
  EXPECT_FALSE(Count({.rows = {{0.25, 0.25, 0.25, 0.27}}, .dtype = DType::kBF16}).ok());
}

TEST(AttendedTest, APromptWithANanOrAnInfinityIsInvalidAlone) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const Input input{.rows = {{0.5, 0.5},
                             {kNan, kNan},  // a row of a query that sees nothing
                             {0.5, 0.5},
                             {0.9, 0.1},
                             {std::numeric_limits<double>::infinity(), 0},
                             {1, 0}},
                    .heads = 2};
  EXPECT_THAT(*Count(input), ElementsAre(std::nullopt, 3, std::nullopt));
}

TEST(AttendedTest, FollowsItsDefinitionOnRandomMaps) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const std::size_t heads = 1 + random() % 4, positions = 1 + random() % 30;
    const AttentionSettings settings{.epsilon = 0.01 + 0.001 * static_cast<double>(random() % 400),
                                     .relative = random() % 2 == 0};
    Input input{.rows = {}, .heads = heads};
    std::int64_t expected = 0;
    for (std::size_t head = 0; head < heads; ++head) {
      const Row& row = input.rows.emplace_back(Softmax(positions, 2, random));
      const double scale = settings.relative ? *std::ranges::max_element(row) : 1;
      expected += std::ranges::count_if(
          row, [&](double weight) { return weight > settings.epsilon * scale; });
    }
    EXPECT_EQ(CountOne(input, settings), expected);
    EXPECT_LE(expected, static_cast<std::int64_t>(heads) *
                            MostAttended(settings, static_cast<std::int64_t>(positions)));
    std::ranges::shuffle(input.rows, random);
    EXPECT_EQ(CountOne(input, settings), expected) << "whatever the order of the heads";
  }
}

}  // namespace
}  // namespace dimwatch
