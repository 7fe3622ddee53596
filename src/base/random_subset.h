// Seeded uniform choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dimwatch {

// A uniform random subset of `count` of the numbers below keys.size(), ascending; all of them where
// there are no more. Number i draws a lot from the seed and keys[i], the smallest lots win: so a
// few keys more or fewer change little of the choice, and their order nothing. Among equal keys the
// smallest numbers win. O(keys).
std::vector<std::uint32_t> ChooseUniformly(std::span<const std::uint64_t> keys, std::size_t count,
                                           std::uint64_t seed);

}  // namespace dimwatch
