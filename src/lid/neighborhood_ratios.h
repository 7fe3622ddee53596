// ln mu inside neighborhoods, from the neighbor lists of all points.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/knn/cloud_rows.h"
#include "src/knn/neighbor_lists.h"

namespace dimwatch {

// The first two members of a neighborhood P in a's own sorted list are a's two nearest in P: exact
// lists answer for nearly every member within the first few entries. Of the rest of a list only
// those entries are measured that may be among the two; where it holds too few members, all of P
// is. Not thread-safe: one for each thread.
class NeighborhoodRatios {
 public:
  // `lists` has one list for every point of `cloud`. The references must outlive it.
  NeighborhoodRatios(const CloudRows& cloud, const NeighborLists& lists);

  // ln mu = ln(r2 / r1) of every member of the neighborhood of `query`: out[j] belongs to
  // lists.ids(query)[j]. The same bits whatever is ranked.
  void Find(std::size_t query, std::span<double> out);

 private:
  // A member whose ranked entries do not answer.
  struct Open {
    std::size_t index = 0;  // in the neighborhood
    std::size_t found = 0;  // of its two nearest: 0 or 1
    float first = 0;        // the distance of the one found
    std::size_t begin = 0;  // contenders_[begin, end) are to be measured
    std::size_t end = 0;
  };

  // Whether the ranked entries answer; else `open` says what is known.
  bool FindRanked(std::uint32_t member, double& ratio, Open& open) const;
  // Which others may be the missing ones.
  void AddContenders(std::span<const std::uint32_t> patch, Open& open);
  void Prefetch(std::uint32_t member, const Open& open) const;
  double Measure(std::uint32_t member, const Open& open) const;

  const CloudRows& cloud_;
  const NeighborLists& lists_;
  std::vector<std::uint8_t> is_member_;  // by point
  std::vector<Open> open_;
  std::vector<std::uint32_t> contenders_;
  std::vector<std::uint32_t> member_ids_;  // of the entries of one list
  std::vector<float> member_squares_;
};

}  // namespace dimwatch
