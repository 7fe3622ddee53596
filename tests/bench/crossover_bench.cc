// Measures from how many points on graphs are faster than the exact engine. Writes one CSV line per
// cell of points and dimension as it goes, and skips the cells that the file already has.
//
// Processor time of one thread, so that load on the machine has little effect. A cell that would
// take long is not measured whole: the exact engine's time is extrapolated from the largest cloud
// of kWholeFlops and half of it, by what grows with the points and what with their square; the
// graph is built of no more than kMostBuilt points or kWholeValues components, and its time
// extrapolated with the logarithm that HnswSeconds knows. Its searches are always timed on kQueries
// of the points.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/knn/engine_choice.h"
#include "src/knn/exact.h"
#include "src/knn/hnsw.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr std::size_t kNeighbors = 128;
constexpr std::size_t kQueries = 1024;
constexpr double kWholeFlops = 3e11;
constexpr std::size_t kMostBuilt = 400'000;
constexpr std::size_t kWholeValues = std::size_t{1} << 27;

// Processor time of the whole process: load on the machine has little effect on it.
class ProcessorClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch(); }
  absl::Duration Monotonic() const override {
    return absl::Seconds(static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  }
};

template <typename Work>
double Seconds(const Work& work) {
  const ProcessorClock clock;
  const absl::Duration start = clock.Monotonic();
  work();
  return absl::ToDoubleSeconds(clock.Monotonic() - start);
}

std::vector<std::uint32_t> First(std::size_t count) {
  std::vector<std::uint32_t> points(count);
  std::iota(points.begin(), points.end(), 0u);
  return points;
}

struct Cell {
  double exact = 0, hnsw = 0;
  bool exact_whole = true, hnsw_whole = true;
};

// Of one dimension; cells that are not measured whole share what was measured.
class Column {
 public:
  Column(std::size_t dim, const EngineCosts& costs)
      : dim_(dim),
        costs_(costs),
        most_searched_(static_cast<std::size_t>(std::sqrt(kWholeFlops / static_cast<double>(dim)))),
        most_built_(std::min(kMostBuilt, std::max<std::size_t>(8192, kWholeValues / dim))),
        data_(testing::Embedded(testing::Gaussian(std::max(most_searched_, most_built_), 15, 1),
                                dim, 2)) {}

  Cell Measure(std::size_t points) {
    const std::size_t built = std::min(points, most_built_);
    const auto [build, search] = GraphSeconds(built);
    return {.exact = ExactSecondsOf(points),
            .hnsw = build * Expected(points, 0) / Expected(built, 0) +
                    search * (Expected(points, points) - Expected(points, 0)) /
                        (Expected(built, kQueries) - Expected(built, 0)),
            .exact_whole = points <= most_searched_,
            .hnsw_whole = built == points};
  }

 private:
  CloudRows FirstRows(std::size_t points) const {
    return CloudRows(PointCloudView({data_.view().data(), points * dim_}, points, dim_));
  }
  double Expected(std::size_t points, std::size_t queries) const {
    return HnswSeconds(costs_, points, queries, dim_, kNeighbors);
  }
  double ExactSecondsOf(std::size_t points) {
    if (points <= most_searched_) return SearchSeconds(points);
    const double half = SearchSeconds(most_searched_ / 2), whole = SearchSeconds(most_searched_);
    const double times = static_cast<double>(points) / static_cast<double>(most_searched_);
    return 2 * (whole - 2 * half) * times * times + (4 * half - whole) * times;
  }
  double SearchSeconds(std::size_t points) {
    double& seconds = searched_[points];
    if (seconds == 0) {
      const CloudRows cloud = FirstRows(points);
      seconds = Seconds([&] { ExactEngine().Search(cloud, First(points), kNeighbors, 4, here_); });
    }
    return seconds;
  }
  // Of building a graph of so many, and of kQueries searches.
  std::pair<double, double> GraphSeconds(std::size_t points) {
    std::pair<double, double>& seconds = built_[points];
    if (seconds.first == 0) {
      const CloudRows cloud = FirstRows(points);
      std::optional<CloudIndex> index;
      seconds.first = Seconds([&] { index.emplace(cloud, 1, here_); });
      seconds.second = Seconds([&] { index->Search(First(kQueries), kNeighbors, 1, here_); });
    }
    return seconds;
  }

  const std::size_t dim_;
  const EngineCosts costs_;
  const std::size_t most_searched_;
  const std::size_t most_built_;
  const PointCloud data_;
  ThreadPool here_{0};
  std::map<std::size_t, double> searched_;
  std::map<std::size_t, std::pair<double, double>> built_;
};

std::set<std::pair<std::size_t, std::size_t>> CellsIn(const char* file) {
  std::set<std::pair<std::size_t, std::size_t>> cells;
  std::ifstream in(file);
  std::string line;
  for (std::getline(in, line); std::getline(in, line);) {
    std::size_t points = 0, dim = 0;
    if (std::sscanf(line.c_str(), "%zu,%zu", &points, &dim) == 2) cells.emplace(points, dim);
  }
  return cells;
}

int Run(const char* file) {
  const std::set<std::pair<std::size_t, std::size_t>> known = CellsIn(file);
  std::FILE* const out = std::fopen(file, "a");
  if (out == nullptr) return EXIT_FAILURE;
  if (known.empty()) {
    std::fprintf(out,
                 "points,dim,exact_seconds,hnsw_seconds,exact_whole,hnsw_whole,"
                 "exact_expected,hnsw_expected\n");
  }
  const EngineCosts costs = MeasureEngineCosts(ProcessorClock());
  for (const std::size_t dim : {128, 768, 4096}) {
    Column column(dim, costs);
    for (const std::size_t points :
         {2'000, 5'000, 10'000, 20'000, 50'000, 100'000, 200'000, 400'000, 1'000'000, 2'000'000}) {
      if (known.contains({points, dim})) continue;
      const Cell cell = column.Measure(points);
      std::fprintf(out, "%zu,%zu,%.4g,%.4g,%d,%d,%.4g,%.4g\n", points, dim, cell.exact, cell.hnsw,
                   cell.exact_whole, cell.hnsw_whole, ExactSeconds(costs, points, points, dim),
                   HnswSeconds(costs, points, points, dim, kNeighbors));
      std::fflush(out);
    }
  }
  std::fclose(out);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace dimwatch

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: dimwatch_crossover_bench FILE.csv\n");
    return EXIT_FAILURE;
  }
  return dimwatch::Run(argv[1]);
}
