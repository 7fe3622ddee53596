// The recorded course of a run, and what the signals make of it.
#include "tests/fuzz/replayed.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::cli;
  const fuzz::MemoryFile file({reinterpret_cast<const char*>(data), size});
  const absl::StatusOr<RecordedCourse> course = ReadRecordedCourse(file.path());
  if (!course.ok()) {
    FUZZ_REQUIRE(!course.status().message().empty());
    return 0;
  }
  CheckingSink sink;
  ReplayConfig config;
  config.signals.warmup = config.signals.patience = config.signals.cooldown = 1;
  ReplayCourse(*course, config, sink);
  return 0;
}
