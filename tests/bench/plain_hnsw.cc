// Compiled twice: see CMakeLists.txt. hnswlib 0.6.2 defines functions that are not inline, so every
// copy of it gets names of its own.
#ifdef DIMWATCH_PLAIN_NATIVE
#define hnswlib hnswlib_native
#define cpuid cpuid_native
#define xgetbv xgetbv_native
#define AVXCapable AVXCapableNative
#define AVX512Capable AVX512CapableNative
#else
#define hnswlib hnswlib_plain
#define cpuid cpuid_plain
#define xgetbv xgetbv_plain
#define AVXCapable AVXCapablePlain
#define AVX512Capable AVX512CapablePlain
#endif
#include "tests/bench/plain_hnsw.h"

#include <hnswlib/hnswlib.h>

#include <algorithm>

namespace dimwatch::bench {
namespace {

constexpr std::size_t kChunk = 64;

NeighborLists AddAndSearch(PointCloudView cloud, std::size_t neighbors,
                           const PlainSettings& settings, ThreadPool& pool) {
  hnswlib::L2Space space(cloud.dim());
  hnswlib::HierarchicalNSW<float> graph(&space, cloud.points(), settings.links,
                                        settings.build_breadth);
  const auto for_all = [&](const auto& body) {
    pool.ParallelFor((cloud.points() + kChunk - 1) / kChunk, [&](std::size_t chunk) {
      const std::size_t end = std::min(cloud.points(), (chunk + 1) * kChunk);
      for (std::size_t i = chunk * kChunk; i < end; ++i) body(i);
    });
  };
  graph.addPoint(cloud.row(0).data(), 0);
  for_all([&](std::size_t i) {
    if (i > 0) graph.addPoint(cloud.row(i).data(), i);
  });
  graph.setEf(settings.search_breadth);
  NeighborLists lists(cloud.points(), neighbors, neighbors);
  for_all([&](std::size_t i) {
    auto found = graph.searchKnn(cloud.row(i).data(), neighbors + 1);
    std::size_t at = neighbors;
    for (; !found.empty(); found.pop()) {
      const auto [square, label] = found.top();
      if (label == i || at == 0) continue;
      lists.ids(i)[--at] = static_cast<std::uint32_t>(label);
      lists.distances(i)[at] = square;
    }
  });
  return lists;
}

}  // namespace

#ifdef DIMWATCH_PLAIN_NATIVE
NeighborLists PlainHnswNative(PointCloudView cloud, std::size_t neighbors,
                              const PlainSettings& settings, ThreadPool& pool) {
  return AddAndSearch(cloud, neighbors, settings, pool);
}
#else
NeighborLists PlainHnsw(PointCloudView cloud, std::size_t neighbors, const PlainSettings& settings,
                        ThreadPool& pool) {
  return AddAndSearch(cloud, neighbors, settings, pool);
}
#endif

}  // namespace dimwatch::bench
