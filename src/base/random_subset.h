// Seeded uniform choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dimwatch {

// A uniform random subset of `ids`, in their order; all of them where there are no more than
// `count`. Every id draws a lot from the seed and itself, so a few ids more or fewer change little
// of the choice. Equal ids are chosen together. O(ids).
std::vector<std::uint32_t> ChooseUniformly(std::vector<std::uint32_t> ids, std::size_t count,
                                           std::uint64_t seed);

}  // namespace dimwatch
