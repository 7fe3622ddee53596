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

}  // namespace

std::vector<std::uint32_t> ChooseUniformly(std::span<const std::uint64_t> keys, std::size_t count,
                                           std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> lots;
  lots.reserve(keys.size());
  for (const std::uint64_t key : keys) {
    lots.emplace_back(Mix(Mix(seed) + key), static_cast<std::uint32_t>(lots.size()));
  }
  if (count < lots.size()) {
    std::nth_element(lots.begin(), lots.begin() + static_cast<std::ptrdiff_t>(count), lots.end());
    lots.resize(count);
  }
  std::vector<std::uint32_t> chosen;
  chosen.reserve(lots.size());
  for (const auto& [lot, number] : lots) chosen.push_back(number);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace dimwatch
