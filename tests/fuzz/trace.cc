// The lines of a recorded trace, replayed; its clouds and maps are sound files beside it.
#include <fstream>

#include "tests/fuzz/replayed.h"
#include "tests/testing/temp_folder.h"

namespace dimwatch::cli {
namespace {

// NumPy's format, version 1: float32 in C order.
void WriteNpy(const std::filesystem::path& file, const std::string& shape, int values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  header += '\n';
  std::ofstream out(file, std::ios::binary);
  out << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
  for (int i = 0; i < values; ++i) {
    const float value = 0.25F + 0.5F * static_cast<float>(i % 2);  // rows of maps sum to 1
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
  }
}

// A folder with cloud.npy, maps.npy and the lines to be replayed.
class Recording {
 public:
  Recording() {
    WriteNpy(folder_.path() / "maps.npy", "3, 2, 2", 12);
    const std::filesystem::path cloud = folder_.path() / "cloud.npy";
    WriteNpy(cloud, "30, 4", 0);
    std::ofstream out(cloud, std::ios::binary | std::ios::app);
    for (unsigned i = 0; i < 120; ++i) {
      const float value = static_cast<float>(i * 2'654'435'761U % 1009);
      out.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }
  // The lines stay in memory: to write them to a disk again and again would take most of the time.
  const std::filesystem::path& Of(const fuzz::MemoryFile& lines) {
    const std::filesystem::path file = folder_.path() / "trace.jsonl";
    std::filesystem::remove(file);
    std::filesystem::create_symlink(lines.path(), file);
    return folder_.path();
  }

 private:
  testing::TempFolder folder_;
};

ReplayConfig Configuration(fuzz::Choices& choices) {
  ReplayConfig config;
  config.estimator.index = IndexKind::kExact;  // by kAuto, engines are timed first
  config.estimator.estimator = static_cast<Estimator>(choices.Below(5));
  config.estimator.neighbors = 4;
  config.signals.warmup = config.signals.patience = 1;
  ReplayConfig::Probe& probe = config.probes.emplace_back();
  probe.settings.identity.name = "train/rolling";
  probe.settings.estimator = config.estimator;
  probe.settings.window = WindowKind::kRolling;
  probe.settings.window_points = 1 + choices.Byte() % 90;
  probe.settings.estimate_every = 1 + choices.Byte() % 90;
  return config;
}

}  // namespace
}  // namespace dimwatch::cli

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::cli;
  static Recording recording;
  fuzz::Choices choices(data, size);
  const ReplayConfig config = Configuration(choices);
  const fuzz::MemoryFile lines(choices.Take(size));
  const auto trace = ReadTrace(recording.Of(lines));
  if (!trace.ok()) {
    FUZZ_REQUIRE(!trace.status().message().empty());
    return 0;
  }
  for (const TraceStep& step : *trace) FUZZ_REQUIRE(step.step.value >= 0);
  CheckingSink sink;
  const absl::Status status = ReplayTrace(*trace, config, EstimatorFlags(), /*threads=*/1, sink);
  if (!status.ok()) FUZZ_REQUIRE(!status.message().empty());
  return 0;
}
