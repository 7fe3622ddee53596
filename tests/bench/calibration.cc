// Whether standard errors are what they say: many redraws of clouds, and how often the interval of
// each, estimate +- 1.96 standard errors, covers the mean of all. README.md says how to read it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "src/base/npy.h"
#include "src/lid/cloud_estimate.h"
#include "src/monitor/paired_change.h"
#include "tests/testing/manual_clock.h"
#include "tests/testing/shapes.h"

namespace dimwatch {
namespace {

struct Outcome {
  double value = 0;
  double error = 0;
  double queries = 0;
};

struct Generator {
  std::string name;
  std::function<PointCloud(std::uint64_t seed)> draw;
  // Of the variance, what is left where the points are drawn from few without replacement:
  // 1 - points / population.
  double correction = 1;
};

// Something with an error that is asked of every draw.
struct Method {
  std::string name;
  std::function<std::optional<Outcome>(const PointCloud& cloud, std::uint64_t seed)> apply;
};

CloudEstimate Estimate(const PointCloud& cloud, const EstimatorSettings& settings,
                       PointwiseLid* pointwise = nullptr) {
  static const testing::ManualClock clock;
  ThreadPool alone(0);
  return *EstimateCloud(cloud.view(), settings, alone, clock, pointwise);
}

EstimatorSettings Settings(Estimator estimator, int neighbors) {
  EstimatorSettings settings;
  settings.estimator = estimator;
  settings.neighbors = neighbors;
  settings.index = IndexKind::kExact;
  settings.max_points = kMaxCloudPoints;
  return settings;
}

Method OfEstimate(std::string name, EstimatorSettings settings) {
  const auto apply = [settings](const PointCloud& cloud,
                                std::uint64_t seed) -> std::optional<Outcome> {
    EstimatorSettings own = settings;
    own.seed = static_cast<std::int64_t>(seed);  // the choice of queries is drawn anew, too
    const CloudEstimate estimate = Estimate(cloud, own);
    if (!estimate.standard_error) return std::nullopt;
    return Outcome{*estimate.mean, *estimate.standard_error, static_cast<double>(estimate.queries)};
  };
  return {std::move(name), apply};
}

std::vector<Method> AllPoints() {
  std::vector<Method> methods;
  for (const int neighbors : {64, 128}) {
    for (const Cdf cdf : {Cdf::kPaper, Cdf::kUpper}) {
      EstimatorSettings settings = Settings(Estimator::kTwoNn, neighbors);
      settings.cdf = cdf;
      methods.push_back(OfEstimate(
          "twonn " + std::string(Name(cdf)) + " L=" + std::to_string(neighbors), settings));
    }
    EstimatorSettings settings = Settings(Estimator::kTwoNn, neighbors);
    settings.fit = Fit::kMl;
    methods.push_back(OfEstimate("twonn ml L=" + std::to_string(neighbors), settings));
  }
  methods.push_back(OfEstimate("twonn-global", Settings(Estimator::kTwoNnGlobal, 64)));
  methods.push_back(OfEstimate("mle L=64", Settings(Estimator::kMle, 64)));
  methods.push_back(OfEstimate("mle L=16", Settings(Estimator::kMle, 16)));
  methods.push_back(OfEstimate("mom L=64", Settings(Estimator::kMom, 64)));
  methods.push_back(OfEstimate("gride L=64", Settings(Estimator::kGride, 64)));
  methods.push_back(OfEstimate("gride L=8", Settings(Estimator::kGride, 8)));
  return methods;
}

std::vector<Method> FewQueries() {
  const auto few = [](Estimator estimator, int queries) {
    EstimatorSettings settings = Settings(estimator, 64);
    settings.queries = queries;
    return OfEstimate(std::string(Name(estimator)) + " L=64 Q=" + std::to_string(queries),
                      settings);
  };
  return {few(Estimator::kTwoNn, 50),        few(Estimator::kTwoNn, 200),
          few(Estimator::kTwoNn, 600),       few(Estimator::kMle, 200),
          few(Estimator::kTwoNnGlobal, 600), few(Estimator::kGride, 200)};
}

std::vector<Method> ToHalfAPercent() {
  EstimatorSettings settings = Settings(Estimator::kTwoNn, 128);
  settings.target_standard_error = 0.005;
  return {OfEstimate("twonn L=128 target=0.005", settings)};
}

// The change from a cloud to what training might make of the same inputs.
Method OfChange(std::string name, Estimator estimator,
                std::function<PointCloud(const PointCloud&, std::uint64_t seed)> train) {
  const auto apply = [estimator, train = std::move(train)](
                         const PointCloud& cloud, std::uint64_t seed) -> std::optional<Outcome> {
    const EstimatorSettings settings = Settings(estimator, 64);
    PointwiseLid before, after;
    Estimate(cloud, settings, &before);
    Estimate(train(cloud, seed), settings, &after);
    const std::optional<PairedChange> change =
        Compare(KeyedByInput(before, {}), KeyedByInput(after, {}));
    if (!change) return std::nullopt;
    return Outcome{change->mean, change->standard_error, 0};
  };
  return {std::move(name), apply};
}

PointCloud WithNoise(const PointCloud& cloud, float share, std::uint64_t seed) {
  PointCloud noisy = testing::Gaussian(cloud.view().points(), cloud.view().dim(), seed + 12345);
  const std::size_t size = noisy.view().points() * noisy.view().dim();
  for (std::size_t i = 0; i < size; ++i) {
    noisy.data()[i] = cloud.view().data()[i] + share * noisy.data()[i];
  }
  return noisy;
}

// Every second component loses nearly all of its width.
PointCloud Flattened(const PointCloud& cloud) {
  PointCloud flat = cloud;
  const std::size_t size = cloud.view().points() * cloud.view().dim();
  for (std::size_t i = 0; i < size; i += 2) {
    if (i % cloud.view().dim() % 2 == 0) flat.data()[i] *= 0.05f;
  }
  return flat;
}

std::vector<Method> Changes() {
  const auto some = [](const PointCloud& cloud, std::uint64_t seed) {
    return WithNoise(cloud, 0.1f, seed);
  };
  const auto much = [](const PointCloud& cloud, std::uint64_t seed) {
    return WithNoise(cloud, 1.0f, seed);
  };
  const auto flat = [](const PointCloud& cloud, std::uint64_t) { return Flattened(cloud); };
  std::vector<Method> methods;
  for (const Estimator estimator : {Estimator::kTwoNn, Estimator::kMle}) {
    const std::string name(Name(estimator));
    methods.push_back(OfChange(name + " change: noise 0.1", estimator, some));
    methods.push_back(OfChange(name + " change: noise 1", estimator, much));
    methods.push_back(OfChange(name + " change: flattened", estimator, flat));
  }
  return methods;
}

std::vector<Generator> Generators() {
  const auto gaussian = [](std::size_t points, std::size_t dim) {
    return [=](std::uint64_t seed) { return testing::Gaussian(points, dim, seed); };
  };
  return {
      {"gauss2 N=1500", gaussian(1500, 2)},
      {"gauss10 N=2000", gaussian(2000, 10)},
      {"gauss10 N=3000", gaussian(3000, 10)},
      {"gauss20 N=1500", gaussian(1500, 20)},
      {"sphere5 N=1500", [](std::uint64_t seed) { return testing::Sphere(1500, 5, seed); }},
      {"cube10 N=1500", [](std::uint64_t seed) { return testing::Cube(1500, 10, seed); }},
      {"curved12 N=2500", [](std::uint64_t seed) { return testing::Curved(2500, seed); }},
      {"clusters8 N=1500", [](std::uint64_t seed) { return testing::Clusters(1500, 8, 10, seed); }},
      {"heavy8 N=1500", [](std::uint64_t seed) { return testing::HeavyTailed(1500, 8, seed); }},
  };
}

std::vector<Generator> LargeGenerators() {
  return {
      {"gauss10 N=60000", [](std::uint64_t seed) { return testing::Gaussian(60'000, 10, seed); }},
      {"clusters8 N=60000",
       [](std::uint64_t seed) { return testing::Clusters(60'000, 8, 10, seed); }}};
}

// Draws `points` rows of a real cloud without replacement.
Generator OfFile(const std::string& file, std::size_t points) {
  const auto all = std::make_shared<PointCloud>(*ReadNpy(file));
  const std::size_t rows = all->view().points(), dim = all->view().dim();
  const auto draw = [=](std::uint64_t seed) {
    std::vector<std::size_t> order(rows);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
    std::vector<float> data;
    for (std::size_t i = 0; i < points; ++i) {
      const std::span<const float> row = all->view().row(order[i]);
      data.insert(data.end(), row.begin(), row.end());
    }
    return PointCloud(std::move(data), dim);
  };
  const std::string name = file.substr(file.rfind('/') + 1) + " N=" + std::to_string(points);
  return {name, draw, 1 - static_cast<double>(points) / static_cast<double>(rows)};
}

// How the estimate of a known dimension depends on points and neighbors: values, no redraws.
void PrintBias() {
  std::printf("dimension | points | neighbors | twonn paper | twonn upper |   mle\n");
  for (const std::size_t dim : {2, 5, 10, 20}) {
    for (const std::size_t points : {1000, 3000, 10'000, 30'000}) {
      const PointCloud cloud = testing::Gaussian(points, dim, 1);
      for (const int neighbors : {32, 64, 128}) {
        EstimatorSettings upper = Settings(Estimator::kTwoNn, neighbors);
        upper.cdf = Cdf::kUpper;
        std::printf("%9zu | %6zu | %9d | %11.3f | %11.3f | %6.3f\n", dim, points, neighbors,
                    *Estimate(cloud, Settings(Estimator::kTwoNn, neighbors)).mean,
                    *Estimate(cloud, upper).mean,
                    *Estimate(cloud, Settings(Estimator::kMle, neighbors)).mean);
        std::fflush(stdout);
      }
    }
  }
}

// What near-duplicates do: a share of the rows is copied with relative noise of 1e-6.
void PrintNearDuplicates() {
  std::printf("share %% | twonn L=64 | error | twonn-global | mle L=64 | near-duplicates\n");
  for (const double share : {0.0, 0.005, 0.01, 0.02, 0.05, 0.1}) {
    PointCloud cloud = testing::Gaussian(2000, 10, 1);
    const PointCloud noise = testing::Gaussian(2000, 10, 2);
    const auto copies = static_cast<std::size_t>(share * 2000);
    for (std::size_t i = 0; i < 10 * copies; ++i) {
      cloud.data()[i] = cloud.data()[10'000 + i] + 1e-6f * noise.view().data()[i];
    }
    const CloudEstimate local = Estimate(cloud, Settings(Estimator::kTwoNn, 64));
    std::printf("%7.1f | %10.3f | %5.3f | %12.3f | %8.3f | %lld\n", 100 * share, *local.mean,
                *local.standard_error, *Estimate(cloud, Settings(Estimator::kTwoNnGlobal, 64)).mean,
                *Estimate(cloud, Settings(Estimator::kMle, 64)).mean,
                static_cast<long long>(local.near_duplicates));
  }
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void PrintRow(const Generator& generator, const Method& method,
              const std::vector<std::optional<Outcome>>& outcomes) {
  std::vector<double> values, squares, queries;
  const double scale = std::sqrt(generator.correction);
  for (const std::optional<Outcome>& outcome : outcomes) {
    if (!outcome) continue;
    values.push_back(outcome->value);
    squares.push_back(std::pow(scale * outcome->error, 2));
    queries.push_back(outcome->queries);
  }
  const double mean = Mean(values);
  const auto n = static_cast<double>(values.size());
  double spread = 0, covered = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    spread += std::pow(values[i] - mean, 2) / (n - 1);
    covered += std::fabs(values[i] - mean) <= 1.96 * std::sqrt(squares[i]) ? 1 / n : 0;
  }
  std::printf("%-18s | %-24s | %5zu | %9.4f | %8.4f | %5.2f | %5.1f | %6.0f\n",
              generator.name.c_str(), method.name.c_str(), values.size(), mean, std::sqrt(spread),
              std::sqrt(Mean(squares) / spread), 100 * covered, Mean(queries));
  std::fflush(stdout);
}

// One row of the table for each method.
void Calibrate(const Generator& generator, const std::vector<Method>& methods, std::size_t draws,
               ThreadPool& pool) {
  std::vector<std::vector<std::optional<Outcome>>> outcomes(
      methods.size(), std::vector<std::optional<Outcome>>(draws));
  std::atomic<std::size_t> done = 0;
  pool.ParallelFor(draws, [&](std::size_t draw) {
    const std::uint64_t seed = 1 + 1'000'003 * draw;
    const PointCloud cloud = generator.draw(seed);
    for (std::size_t m = 0; m < methods.size(); ++m) {
      outcomes[m][draw] = methods[m].apply(cloud, seed);
    }
    if (++done % 20 == 0) {
      std::fprintf(stderr, "%s: %zu of %zu draws\r", generator.name.c_str(), done.load(), draws);
    }
  });
  for (std::size_t m = 0; m < methods.size(); ++m) PrintRow(generator, methods[m], outcomes[m]);
}

int Run(const std::string& what, std::size_t draws, std::size_t threads,
        const std::vector<std::string>& files, std::size_t points) {
  const std::vector<Method> methods = what == "queries"  ? FewQueries()
                                      : what == "change" ? Changes()
                                      : what == "target" ? ToHalfAPercent()
                                                         : AllPoints();
  std::vector<Generator> generators = what == "target" ? LargeGenerators() : Generators();
  if (!files.empty()) generators.clear();
  for (const std::string& file : files) generators.push_back(OfFile(file, points));
  std::printf(
      "cloud              | estimator                | draws |   mean    |    sd    | "
      "se/sd | cover | queries\n");
  ThreadPool pool(threads - 1);
  for (const Generator& generator : generators) Calibrate(generator, methods, draws, pool);
  return 0;
}

}  // namespace
}  // namespace dimwatch

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "bias") {
    dimwatch::PrintBias();
    dimwatch::PrintNearDuplicates();
    return 0;
  }
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: %s points|queries|target|change DRAWS THREADS [ROWS FILE.npy...]\n",
                 argv[0]);
    return 2;
  }
  return dimwatch::Run(argv[1], std::stoul(argv[2]), std::stoul(argv[3]),
                       std::vector<std::string>(argv + std::min(argc, 5), argv + argc),
                       argc > 4 ? std::stoul(argv[4]) : 0);
}
