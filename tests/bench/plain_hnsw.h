// hnswlib as its own users run it: its L2 space with the rows inside the graph, its loop of add and
// its loop of search.
#pragma once

#include <cstddef>

#include "src/base/point_cloud.h"
#include "src/base/thread_pool.h"
#include "src/knn/neighbor_lists.h"

namespace dimwatch::bench {

struct PlainSettings {
  std::size_t links = 16;
  std::size_t build_breadth = 200;   // efConstruction
  std::size_t search_breadth = 256;  // ef
};

// All-kNN. Adds from all threads at once, as hnswlib's Python binding does: the graph differs from
// run to run. The lists hold squared distances. Compiled as our own graph is.
NeighborLists PlainHnsw(PointCloudView cloud, std::size_t neighbors, const PlainSettings& settings,
                        ThreadPool& pool);
// The same, compiled for the processor of this machine (-march=native).
NeighborLists PlainHnswNative(PointCloudView cloud, std::size_t neighbors,
                              const PlainSettings& settings, ThreadPool& pool);

}  // namespace dimwatch::bench
