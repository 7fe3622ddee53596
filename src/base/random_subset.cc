#include "src/base/random_subset.h"

#include <algorithm>
#include <utility>

namespace dimwatch {
namespace {

// SplitMix64 (Steele, Lea & Flood 2014).
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::pair<std::uint64_t, std::uint32_t> Lot(std::uint64_t seed, std::uint32_t id) {
  return {Mix(Mix(seed) + id), id};
}

}  // namespace

std::vector<std::uint32_t> ChooseUniformly(std::vector<std::uint32_t> ids, std::size_t count,
                                           std::uint64_t seed) {
  if (ids.size() <= count) return ids;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> lots;
  lots.reserve(ids.size());
  for (const std::uint32_t id : ids) lots.push_back(Lot(seed, id));
  const auto first_left_out = lots.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(lots.begin(), first_left_out, lots.end());
  std::erase_if(ids, [&](std::uint32_t id) { return Lot(seed, id) >= *first_left_out; });
  return ids;
}

}  // namespace dimwatch
