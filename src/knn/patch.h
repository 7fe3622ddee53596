// The two nearest of every point of a small set, inside the set.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/knn/cloud_rows.h"
#include "src/knn/two_smallest.h"

namespace dimwatch {

// Searches one set after another by one matrix product each. The product only says which distances
// may be the smallest; these are SquaredDistance's, so the result is that of all pairs.
// Not thread-safe.
class PatchSearch {
 public:
  // out[j], distances, belongs to members[j]. O(members^2 dim). REQUIRES: members differ and are
  // finite; as many in `out`.
  void Search(const CloudRows& cloud, std::span<const std::uint32_t> members,
              std::span<TwoSmallest> out);

 private:
  TwoSmallest Nearest(const CloudRows& cloud, std::span<const std::uint32_t> members,
                      std::size_t member) const;

  std::vector<float> centered_;  // members x dim
  std::vector<float> norms_;     // squared
  std::vector<float> products_;  // members x members
};

}  // namespace dimwatch
