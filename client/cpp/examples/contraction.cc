// A toy "training" without a framework: 500 inputs whose 64-dimensional embedding starts as noise
// in all directions and contracts onto a 3-dimensional subspace, as representations of a network do
// while it learns. dimwatch sees the local dimension fall and level out.
//
//   dimwatch-server &                         # or anywhere else: DIMWATCH_SERVER=host:port
//   dimwatch_example_contraction && dimwatch show example-cpp

#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "dimwatch/client.h"

namespace {

constexpr int kRows = 500;
constexpr int kDim = 64;
constexpr int kLatent = 3;

// The embedding of the fixed inputs after `step` steps.
std::vector<float> Embed(int step) {
  std::mt19937 inputs(7);  // the same at every step: the probe set
  std::normal_distribution<float> normal;
  const auto noise = static_cast<float>(std::exp(-step / 200.0));
  std::vector<float> rows(kRows * kDim);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = (i % kDim < kLatent ? 1.0F : noise) * normal(inputs);
  }
  return rows;
}

}  // namespace

int main() {
  dimwatch::Run run = dimwatch::Run::Start({
      .project = "examples",
      .name = "contracting cloud (C++)",
      .run_id = "example-cpp-" + std::to_string(std::random_device{}()),
      .on_warning = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); },
  });
  dimwatch::Probe probe =
      run.AddProbe({.name = "train/embedding", .neighbors = 64, .aligned = true});
  for (int step = 0; step <= 4000 && !run.ShouldStop(); step += 50) {
    const std::vector<float> rows = Embed(step);
    probe.Log(rows.data(), kRows, kDim, step, {.snapshot_end = true});
    run.Log({{"train/loss", std::exp(-step / 200.0)}}, step);
  }
  const bool finished = run.Finish();
  const dimwatch::Decision decision = run.decision();
  std::printf("run %s: %s at step %lld: %s\n", run.run_id().c_str(),
              decision.stop ? "STOP" : "CONTINUE", static_cast<long long>(decision.step),
              decision.reason.c_str());
  return finished ? 0 : 1;
}
