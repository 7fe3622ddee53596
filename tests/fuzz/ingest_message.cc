// The messages of an Ingest stream: converted, admitted, logged, estimated, and what comes of them
// told back.
#include <cmath>
#include <optional>

#include "dimwatch/v1/ingest.pb.h"
#include "dimwatch/v1/run.pb.h"
#include "server/convert.h"
#include "server/errors.h"
#include "server/outbox.h"
#include "src/monitor/admission.h"
#include "src/monitor/run_pipeline.h"
#include "src/monitor/run_rules.h"
#include "src/store/item_codec.h"
#include "tests/fuzz/messages.h"
#include "tests/testing/manual_clock.h"

namespace dimwatch::server {
namespace {

constexpr int kMostItems = 40;
constexpr int kIds = 1000;
const char* const kWords[] = {
    "train/last", "validation/last", "train/maps", "loss", "overfitting", "none", "{}", "p", ""};

RunLimits Limits() {
  RunLimits limits;
  limits.max_probes = 8;
  limits.max_scalar_names = 8;
  limits.max_batch_bytes = 1 << 14;
  limits.max_window_bytes = 1 << 18;
  return limits;
}

v1::Run Usual() {
  v1::Run run;
  run.set_run_id("run");
  run.set_project("project");
  for (const char* const name : {"train/last", "validation/last", "train/maps"}) {
    v1::ProbeConfig& probe = *run.mutable_config()->add_probes();
    probe.set_probe(name);
  }
  for (int i = 0; i < 2; ++i) {
    run.mutable_config()->mutable_probes(i)->mutable_estimator()->set_neighbors(5);
  }
  run.mutable_config()->mutable_probes(0)->set_window(v1::WINDOW_KIND_ROLLING);
  run.mutable_config()->mutable_probes(0)->set_window_points(40);
  run.mutable_config()->mutable_probes(0)->set_estimate_every(15);
  run.mutable_config()->mutable_probes(2)->mutable_attention();
  return run;
}

// As CreateRun takes it. What is told of its settings is what is taken again.
std::optional<RunRecord> Created(const v1::Run& run) {
  absl::StatusOr<RunRecord> record = FromProto(run);
  if (!record.ok()) {
    FUZZ_REQUIRE(!ToGrpcStatus(record.status()).error_message().empty());
    return std::nullopt;
  }
  if (!ValidateNewRun(*record, Limits()).ok()) return std::nullopt;
  v1::Run told = run;
  *told.mutable_config() = ConfigToProto(*record);
  const absl::StatusOr<RunRecord> again = FromProto(told);
  FUZZ_REQUIRE(again.ok() && again->probes == record->probes);
  return *std::move(record);
}

// Data of the size that the numbers of the message ask for, or one byte more.
template <typename Batch>
void FitData(Batch& batch, std::int64_t components, fuzz::Choices& choices) {
  if (batch.dtype() == v1::DTYPE_UNSPECIFIED) batch.set_dtype(v1::DTYPE_F32);
  const absl::StatusOr<DType> dtype = FromProto(batch.dtype());
  if (!dtype.ok()) return;
  const std::string pattern(choices.Take(12));
  std::string data;
  while (data.size() < static_cast<std::size_t>(components) * SizeOf(*dtype)) {
    data += pattern;
    data += static_cast<char>(data.size());
  }
  const std::size_t size = static_cast<std::size_t>(components) * SizeOf(*dtype);
  data.resize(choices.OneIn(16) ? size + 1 : size);
  batch.set_data(data);
}

// The value, or one from `low` on where it is out of bounds.
std::int32_t Within(std::int64_t value, std::int32_t low, std::int32_t high,
                    fuzz::Choices& choices) {
  if (value >= low && value <= high) return static_cast<std::int32_t>(value);
  return low + static_cast<std::int32_t>(choices.Below(static_cast<std::size_t>(high - low + 1)));
}

// None, or one for each, or one too few, all below `limit`.
template <typename List>
void FitList(List& list, std::int64_t count, int limit, fuzz::Choices& choices) {
  list.Clear();
  if (choices.OneIn(2)) return;
  if (choices.OneIn(8)) --count;
  const int first = choices.Byte();
  for (int i = 0; i < count; ++i) list.Add((first + i) % limit);
}

// As after a softmax, which random numbers are not.
void SetEqualWeights(v1::AttentionBatch& maps) {
  const float weight = 1.0F / static_cast<float>(maps.positions());
  std::string& data = *maps.mutable_data();
  for (std::size_t i = 0; i + sizeof weight <= data.size(); i += sizeof weight) {
    std::memcpy(data.data() + i, &weight, sizeof weight);
  }
  maps.set_dtype(v1::DTYPE_F32);
}

// Mostly one that fits what came before.
void MakeSound(v1::IngestRequest& request, std::int64_t seq, fuzz::Choices& choices) {
  if (request.has_samples()) {
    v1::SampleBatch& samples = *request.mutable_samples();
    samples.set_seq(seq);
    samples.set_probe(kWords[choices.Below(2)]);
    samples.set_step(Within(samples.step(), 0, 8, choices));
    samples.set_rows(Within(samples.rows(), 1, 48, choices));
    samples.set_dim(Within(samples.dim(), 3, 3, choices));
    FitData(samples, std::int64_t{samples.rows()} * samples.dim(), choices);
    FitList(*samples.mutable_sample_ids(), samples.rows(), kIds, choices);
  } else if (request.has_attention()) {
    v1::AttentionBatch& maps = *request.mutable_attention();
    maps.set_seq(seq);
    maps.set_probe(kWords[2]);
    maps.set_step(Within(maps.step(), 0, 8, choices));
    maps.set_prompts(Within(maps.prompts(), 1, 8, choices));
    maps.set_heads(Within(maps.heads(), 2, 2, choices));
    maps.set_positions(Within(maps.positions(), 4, 4, choices));
    if (maps.dimensions().empty()) {
      FitData(maps, std::int64_t{maps.prompts()} * maps.heads() * maps.positions(), choices);
      if (choices.OneIn(2)) SetEqualWeights(maps);
      FitList(*maps.mutable_prompt_ids(), maps.prompts(), kIds, choices);
      FitList(*maps.mutable_first_positions(), maps.prompts(), maps.positions(), choices);
      FitList(*maps.mutable_query_positions(), maps.prompts(), maps.positions(), choices);
    }
  } else if (request.has_scalars()) {
    request.mutable_scalars()->set_seq(seq);
  } else if (request.has_declaration()) {
    request.mutable_declaration()->set_seq(seq);
  }
}

std::optional<v1::IngestRequest> NextRequest(fuzz::Choices& choices, std::int64_t seq) {
  v1::IngestRequest request;
  if (choices.OneIn(8)) {  // bytes that anybody may have sent
    const std::string_view bytes = choices.Take(choices.Byte());
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
    return request;
  }
  fuzz::MessageMaker(choices, kWords).Fill(request);
  if (!choices.OneIn(8)) MakeSound(request, seq, choices);
  return fuzz::Received(request);
}

bool IsOfEach(std::size_t size, std::int64_t count) {
  return size == 0 || static_cast<std::int64_t>(size) == count;
}

// What estimates rely on.
void CheckTaken(const IngestItem& item) {
  if (const auto* samples = std::get_if<SampleItem>(&item)) {
    FUZZ_REQUIRE(samples->data.size() ==
                 static_cast<std::size_t>(samples->rows * samples->dim) * SizeOf(samples->dtype));
    FUZZ_REQUIRE(IsOfEach(samples->sample_ids.size(), samples->rows));
  } else if (const auto* maps = std::get_if<AttentionItem>(&item)) {
    const std::int64_t components = maps->prompts * maps->heads * maps->positions;
    if (maps->dimensions.empty()) {
      FUZZ_REQUIRE(maps->data.size() == static_cast<std::size_t>(components) * SizeOf(maps->dtype));
    }
    FUZZ_REQUIRE(IsOfEach(maps->dimensions.size(), maps->prompts));
    FUZZ_REQUIRE(IsOfEach(maps->prompt_ids.size(), maps->prompts));
    FUZZ_REQUIRE(IsOfEach(maps->first_positions.size(), maps->prompts));
    FUZZ_REQUIRE(IsOfEach(maps->query_positions.size(), maps->prompts));
  }
}

// A log that has the item gives it back.
void CheckLogged(const IngestItem& item) {
  const absl::StatusOr<EncodedItem> encoded = EncodeItem(item);
  FUZZ_REQUIRE(encoded.ok());
  const std::optional<IngestItem> decoded = DecodeItem(encoded->head + std::string(encoded->tail));
  FUZZ_REQUIRE(decoded.has_value());
  const absl::StatusOr<EncodedItem> again = EncodeItem(*decoded);
  FUZZ_REQUIRE(again.ok() && again->head == encoded->head && again->tail == encoded->tail);
}

// What an IngestCall would write.
void CheckTold(const RunChanges& changes, Outbox& outbox) {
  for (const EstimateRecord& record : changes.estimates) {
    if (record.estimate.mean) FUZZ_REQUIRE(std::isfinite(*record.estimate.mean));
    outbox.Add(ToProto(record));
  }
  for (const AttentionRecord& record : changes.attention) outbox.Add(ToProto(record));
  for (const SignalRecord& record : changes.signals) outbox.Add(ToProto(record));
  for (const DecisionRecord& record : changes.decisions) {
    outbox.Add(ToProto(ForJob(record.decision), record.create_time));
  }
  while (const std::optional<v1::IngestResponse> told = outbox.Next()) {
    FUZZ_REQUIRE(fuzz::Received(*told).has_value());
  }
}

// One run, from its creation on.
class Stream {
 public:
  explicit Stream(const RunRecord& run)
      : alone_(0), admission_(run, Limits()), pipeline_(run, alone_, clock_) {}

  std::int64_t next_seq() const { return admission_.last_seq() + 1; }

  void Take(v1::IngestRequest request) {
    if (!IsNumberedItem(request)) return;  // ends a stream
    absl::StatusOr<ConvertedItem> converted = FromProto(std::move(request));
    if (!converted.ok()) {
      FUZZ_REQUIRE(!BlamedField(converted.status()).empty());
      return;
    }
    const IngestItem& item = converted->item;
    const RunAdmission::Rejection verdict = admission_.Check(item);
    if (!verdict.status.ok()) FUZZ_REQUIRE(!verdict.status.message().empty());
    if (!verdict.status.ok() || verdict.known) return;
    CheckTaken(item);
    CheckLogged(item);
    admission_.Note(item);
    if (const std::optional<RunChanges> changes = pipeline_.Apply(item)) {
      CheckTold(*changes, outbox_);
    }
  }

  void Finish() { CheckTold(pipeline_.Finish(/*failed=*/false), outbox_); }

 private:
  testing::ManualClock clock_;
  ThreadPool alone_;
  RunAdmission admission_;
  RunPipeline pipeline_;
  Outbox outbox_;
};

}  // namespace
}  // namespace dimwatch::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::server;
  fuzz::SilenceProtobuf();
  fuzz::Choices choices(data, size);
  v1::Run wanted = Usual();
  const bool changed = choices.OneIn(4);
  if (changed) fuzz::MessageMaker(choices, kWords).Fill(wanted);
  const std::optional<v1::Run> received = fuzz::Received(wanted);
  if (!received) return 0;
  const std::optional<RunRecord> run = Created(*received);
  FUZZ_REQUIRE(run || changed);
  if (!run) return 0;
  Stream stream(*run);
  for (int i = 0; i < kMostItems && !choices.empty(); ++i) {
    std::optional<v1::IngestRequest> request = NextRequest(choices, stream.next_seq());
    if (!request) return 0;  // ends the stream
    stream.Take(*std::move(request));
  }
  stream.Finish();
  return 0;
}
