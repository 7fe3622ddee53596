// Peak memory of an estimate against what it cannot do without: the data and the neighbor lists.
//
//   dimwatch_memory_bench [POINTS DIM]...
//
// Each case runs in a process of its own, on two threads. `ratio` is the growth of the process's
// peak (VmHWM), from before the cloud is made but after a first product (oneDNN then writes its
// code, 3 MiB), over data (points x dim x 4 bytes) + lists (points x 128 x 8 bytes).
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "src/knn/products.h"
#include "src/lid/cloud_estimate.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

constexpr double kMiB = 1 << 20;

struct Case {
  std::size_t points = 0, dim = 0;
};

// A line of /proc/self/status that counts kB, in MiB.
double StatusMiB(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != key + ":") continue;
    double kib = 0;
    status >> kib;
    return kib * 1024 / kMiB;
  }
  return 0;
}

void EstimateInChild(Case size) {
  const std::array<float, 8> rows{};
  std::array<float, 64> product;
  MultiplyRows(rows.data(), 8, rows.data(), 8, 1, 1.0f, product.data());
  const double before = StatusMiB("VmRSS");
  const PointCloud cloud = testing::Embedded(testing::Gaussian(size.points, 20, 1), size.dim, 2);
  ThreadPool pool(1);  // and the caller's
  EstimatorSettings settings;
  settings.index = IndexKind::kExact;
  settings.max_points = static_cast<std::int64_t>(size.points);
  const auto estimate = EstimateCloud(cloud.view(), settings, pool, testing::ManualClock());
  const auto points = static_cast<double>(size.points);
  const double data = points * static_cast<double>(size.dim) * sizeof(float) / kMiB;
  const double lists = points * settings.neighbors * (sizeof(float) + sizeof(std::uint32_t)) / kMiB;
  const double peak = StatusMiB("VmHWM") - before;
  std::printf("%7zu %6zu  %9.1f %9.1f %9.1f  %5.2f  %s\n", size.points, size.dim, data, lists, peak,
              peak / (data + lists), estimate.ok() && estimate->mean ? "" : "no estimate");
}

}  // namespace
}  // namespace dimwatch

int main(int argc, char** argv) {
  std::vector<dimwatch::Case> cases;
  for (int i = 1; i + 1 < argc; i += 2) {
    cases.push_back({std::strtoull(argv[i], nullptr, 10), std::strtoull(argv[i + 1], nullptr, 10)});
  }
  if (cases.empty()) cases = {{10'000, 768}, {20'000, 768}, {10'000, 4096}};
  std::printf(" points    dim  data, MiB     lists      peak  ratio\n");
  for (const dimwatch::Case size : cases) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      dimwatch::EstimateInChild(size);
      std::fflush(stdout);
      _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) return 1;
  }
  return 0;
}
