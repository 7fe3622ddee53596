// What a job may send, in any order and with any numbers: refused with a reason, or estimated.
#include <cmath>
#include <optional>

#include "src/monitor/admission.h"
#include "src/monitor/run_pipeline.h"
#include "tests/fuzz/fuzz.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch {
namespace {

constexpr int kMostItems = 40;
const char* const kProbes[] = {"train/last", "validation/last", "train/maps", "", "\xff", "x"};

std::string ProbeName(fuzz::Choices& choices) { return kProbes[choices.Below(6)]; }

DType AnyDType(fuzz::Choices& choices) { return static_cast<DType>(choices.Below(4)); }

std::vector<std::int64_t> Numbers(std::int64_t count, fuzz::Choices& choices) {
  if (choices.OneIn(8) && count < 64) ++count;
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < count && i < 64; ++i) numbers.push_back(choices.Number());
  return numbers;
}

// As many components as said, or one byte more.
std::string Components(std::int64_t count, DType dtype, fuzz::Choices& choices) {
  const auto bytes =
      static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, 4096)) * SizeOf(dtype);
  const std::string_view pattern = choices.Take(16);
  std::string data;
  while (data.size() < bytes) {
    data += pattern.empty() ? std::string_view("\x3f") : pattern;
    data += static_cast<char>(data.size());
  }
  data.resize(choices.OneIn(16) ? bytes + 1 : bytes);
  return data;
}

IngestItem Declaration(std::int64_t seq, fuzz::Choices& choices) {
  ProbeSettings settings;
  settings.identity.name = ProbeName(choices);
  settings.window = choices.OneIn(2) ? WindowKind::kRolling : WindowKind::kSnapshot;
  settings.window_points = choices.Number();
  settings.estimate_every = choices.Number();
  settings.estimator.estimator = static_cast<Estimator>(choices.Below(5));
  settings.estimator.neighbors = static_cast<int>(choices.Number());
  settings.estimator.queries = static_cast<int>(choices.Number());
  settings.estimator.index = static_cast<IndexKind>(choices.Below(3));
  settings.estimator.max_points = static_cast<int>(choices.Number());
  settings.aligned = choices.OneIn(2);
  settings.dim = static_cast<int>(choices.Number());
  settings.scale_every = choices.OneIn(4) ? choices.Number() : 0;
  if (choices.OneIn(4)) settings.attention = AttentionSettings();
  return DeclarationItem{seq, ResolveDefaults(std::move(settings))};
}

IngestItem Samples(std::int64_t seq, fuzz::Choices& choices) {
  SampleItem item;
  item.seq = seq;
  item.probe = ProbeName(choices);
  item.step = Step{choices.Number()};
  item.dtype = AnyDType(choices);
  item.rows = choices.Number();
  item.dim = choices.OneIn(4) ? choices.Number() : 3;
  const bool small = item.rows >= 0 && item.rows < 64 && item.dim >= 0 && item.dim < 64;
  item.data = Components(small ? item.rows * item.dim : 4, item.dtype, choices);
  if (choices.OneIn(2)) item.sample_ids = Numbers(item.rows, choices);
  item.snapshot_end = choices.OneIn(2);
  item.dropped_rows = choices.OneIn(4) ? choices.Number() : 0;
  return item;
}

IngestItem Attention(std::int64_t seq, fuzz::Choices& choices) {
  AttentionItem item;
  item.seq = seq;
  item.probe = ProbeName(choices);
  item.step = Step{choices.Number()};
  item.dtype = AnyDType(choices);
  item.prompts = choices.Number();
  item.heads = choices.OneIn(4) ? choices.Number() : 2;
  item.positions = choices.OneIn(4) ? choices.Number() : 5;
  if (choices.OneIn(2)) {
    item.dimensions = Numbers(item.prompts, choices);
  } else {
    const bool small = item.prompts >= 0 && item.prompts < 64 && item.heads >= 0 &&
                       item.heads < 64 && item.positions >= 0 && item.positions < 64;
    item.data =
        Components(small ? item.prompts * item.heads * item.positions : 4, item.dtype, choices);
  }
  if (choices.OneIn(2)) item.prompt_ids = Numbers(item.prompts, choices);
  item.invalid_prompts = choices.OneIn(4) ? choices.Number() : 0;
  item.dropped_prompts = choices.OneIn(4) ? choices.Number() : 0;
  item.snapshot_end = choices.OneIn(2);
  return item;
}

IngestItem Item(std::int64_t seq, fuzz::Choices& choices) {
  switch (choices.Below(8)) {
    case 0:
      return Declaration(seq, choices);
    case 1:
      return ScalarItem{seq, Step{choices.Number()}, {{"validation/loss", choices.Real()}}};
    case 2:
      return Attention(seq, choices);
    default:
      return Samples(seq, choices);
  }
}

RunRecord Run() {
  RunRecord run;
  run.run_id = "run";
  for (const char* const name : {"train/last", "validation/last"}) {
    ProbeSettings settings;
    settings.identity.name = name;
    settings.estimator.neighbors = 5;
    if (run.probes.empty()) {
      settings.window = WindowKind::kRolling;
      settings.window_points = 40;
      settings.estimate_every = 15;
    }
    run.probes.push_back(ResolveDefaults(std::move(settings)));
  }
  return run;
}

void Check(const RunChanges& changes) {
  for (const EstimateRecord& record : changes.estimates) {
    const CloudEstimate& estimate = record.estimate;
    if (estimate.mean) FUZZ_REQUIRE(std::isfinite(*estimate.mean));
    if (estimate.standard_error) FUZZ_REQUIRE(*estimate.standard_error >= 0);
  }
}

}  // namespace
}  // namespace dimwatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  static const testing::ManualClock clock;
  fuzz::Choices choices(data, size);
  ThreadPool alone(0);
  RunLimits limits;
  limits.max_batch_bytes = 1 << 16;
  limits.max_window_bytes = 1 << 20;
  RunAdmission admission(Run(), limits);
  RunPipeline pipeline(Run(), alone, clock);
  for (int i = 0; i < kMostItems && !choices.empty(); ++i) {
    const std::int64_t seq = choices.OneIn(16) ? choices.Number() : admission.last_seq() + 1;
    const IngestItem item = Item(seq, choices);
    const RunAdmission::Rejection verdict = admission.Check(item);
    if (!verdict.status.ok()) FUZZ_REQUIRE(!verdict.status.message().empty());
    if (!verdict.status.ok() || verdict.known) continue;
    admission.Note(item);
    if (const std::optional<RunChanges> changes = pipeline.Apply(item)) Check(*changes);
  }
  Check(pipeline.Finish(choices.OneIn(2)));
  return 0;
}
