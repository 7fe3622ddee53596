// All-kNN against FAISS's exact index, on the same data in the same run. README.md says how to read
// it.
#include <benchmark/benchmark.h>
#include <cblas.h>
#include <faiss/IndexFlat.h>
#include <omp.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "src/knn/exact.h"
#include "src/lid/pointwise.h"
#include "tests/bench/work.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr std::size_t kNeighbors = 128;

// Every point's nearest ones, itself included, as FAISS knows no query that is a point.
std::vector<faiss::Index::idx_t> SearchWithFaiss(PointCloudView cloud) {
  constexpr faiss::Index::idx_t kWithSelf = kNeighbors + 1;
  const auto points = static_cast<faiss::Index::idx_t>(cloud.points());
  faiss::IndexFlatL2 index(static_cast<faiss::Index::idx_t>(cloud.dim()));
  index.add(points, cloud.data());
  std::vector<float> distances(cloud.points() * kWithSelf);
  std::vector<faiss::Index::idx_t> ids(distances.size());
  index.search(points, cloud.data(), kWithSelf, distances.data(), ids.data());
  return ids;
}

NeighborLists SearchWithOurs(PointCloudView cloud, std::size_t ranked, ThreadPool& pool) {
  std::vector<std::uint32_t> queries(cloud.points());
  std::iota(queries.begin(), queries.end(), 0u);
  return ExactEngine().Search(CloudRows(cloud), queries, kNeighbors, ranked, pool);
}

// The share of our neighbors that FAISS found, too. Below 1 only where its distances, by the
// expansion of |x - y|^2, are wrong in the last digits.
double Agreement(const NeighborLists& ours, std::vector<faiss::Index::idx_t> theirs) {
  std::size_t same = 0;
  for (std::size_t q = 0; q < ours.queries(); ++q) {
    const auto begin = theirs.begin() + static_cast<std::ptrdiff_t>(q * (kNeighbors + 1));
    const auto end = begin + kNeighbors + 1;
    std::sort(begin, end);
    for (const std::uint32_t id : ours.ids(q)) {
      same += std::binary_search(begin, end, static_cast<faiss::Index::idx_t>(id));
    }
  }
  return static_cast<double>(same) / static_cast<double>(ours.queries() * kNeighbors);
}

void AllNeighborsBench(benchmark::State& state) {
  const auto points = static_cast<std::size_t>(state.range(0));
  const auto dim = static_cast<std::size_t>(state.range(1));
  const auto threads = static_cast<int>(state.range(2));
  const PointCloud cloud = testing::Embedded(testing::Gaussian(points, 20, 1), dim, 2);
  ThreadPool pool(static_cast<std::size_t>(threads - 1));  // and the caller's
  bench::Seconds faiss, ours, ranked;
  NeighborLists lists;
  std::vector<faiss::Index::idx_t> faiss_ids;
  for ([[maybe_unused]] auto iteration : state) {
    omp_set_num_threads(threads);
    openblas_set_num_threads(threads);
    faiss += bench::Time([&] { faiss_ids = SearchWithFaiss(cloud.view()); });
    const std::size_t few = RankedEntries(Estimator::kTwoNn, kNeighbors);
    const bench::Seconds search =
        bench::Time([&] { lists = SearchWithOurs(cloud.view(), few, pool); });
    ours += search;
    ranked += bench::Time([&] { lists = SearchWithOurs(cloud.view(), kNeighbors, pool); });
    state.SetIterationTime(search.wall);
  }
  state.counters["faiss_seconds"] =
      benchmark::Counter(faiss.wall, benchmark::Counter::kAvgIterations);
  state.counters["speedup"] = faiss.wall / ours.wall;
  state.counters["cpu_speedup"] = faiss.cpu / ours.cpu;
  state.counters["speedup_ranked"] = faiss.wall / ranked.wall;
  state.counters["cpu_speedup_ranked"] = faiss.cpu / ranked.cpu;
  state.counters["agreement"] = Agreement(lists, std::move(faiss_ids));
}

BENCHMARK(AllNeighborsBench)
    ->Name("AllNeighbors")
    ->ArgNames({"points", "dim", "threads"})
    ->ArgsProduct({{10'000, 20'000}, {768}, {1, 2}})
    ->ArgsProduct({{10'000}, {4096}, {1, 2}})
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace dimwatch
