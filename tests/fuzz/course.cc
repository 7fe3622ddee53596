// The recorded course of a run, whose counts are counts, and what the signals make of it.
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
  for (const EventRecord& event : course->events) {
    const auto* const record = std::get_if<EstimateRecord>(&event);
    if (record == nullptr) continue;
    const CloudEstimate& estimate = record->estimate;
    FUZZ_REQUIRE(estimate.points >= 0 && estimate.queries >= 0 && estimate.invalid >= 0);
    FUZZ_REQUIRE(estimate.duplicate_rows >= 0 && estimate.nonfinite_rows >= 0);
    FUZZ_REQUIRE(estimate.rows >= 0 && record->step.value >= 0);
  }
  CheckingSink sink;
  ReplayConfig config;
  config.signals.warmup = config.signals.patience = config.signals.cooldown = 1;
  ReplayCourse(*course, config, sink);
  return 0;
}
