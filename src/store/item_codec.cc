#include "src/store/item_codec.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "src/store/settings_json.h"
#include "src/store/status_macros.h"

namespace dimwatch {
namespace {

static_assert(std::endian::native == std::endian::little, "the log is little-endian");

enum class Kind : std::uint8_t {
  kDeclaration = 1,
  kSamples = 2,
  kScalars = 3,
  kAttention = 4,
  kScarceSamples = 5
};

class Writer {
 public:
  template <typename Value>
  requires std::is_arithmetic_v<Value>
  void Put(Value value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void Put(std::string_view text) {
    Put(static_cast<std::uint64_t>(text.size()));
    bytes_.append(text);
  }
  template <typename Number>
  void Put(const std::vector<Number>& numbers) {
    Put(static_cast<std::uint64_t>(numbers.size()));
    for (const Number number : numbers) Put(number);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first value that is not there, everything it gives is empty and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename Value>
  requires std::is_arithmetic_v<Value>
  void Take(Value& value) {
    const std::string_view bytes = TakeBytes(sizeof value);
    if (ok_) std::memcpy(&value, bytes.data(), sizeof value);
  }
  void Take(std::string& text) {
    std::uint64_t size = 0;
    Take(size);
    text = TakeBytes(size);
  }
  template <typename Number>
  void Take(std::vector<Number>& numbers) {
    std::uint64_t count = 0;
    TakeCount(count, sizeof(Number));
    numbers.resize(count);
    for (Number& number : numbers) Take(number);
  }
  // At most as many as there can be.
  void TakeCount(std::uint64_t& count, std::size_t bytes_each) {
    Take(count);
    if (count > rest_.size() / bytes_each) ok_ = false;
    if (!ok_) count = 0;
  }
  std::string_view TakeRest() { return std::exchange(rest_, {}); }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view TakeBytes(std::uint64_t size) {
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool ok_ = true;
};

void PutHeader(Writer& writer, Kind kind, std::int64_t seq) {
  writer.Put(static_cast<std::uint8_t>(kind));
  writer.Put(seq);
}

absl::StatusOr<EncodedItem> Encode(const DeclarationItem& item) {
  const absl::StatusOr<std::string> settings = ToJson(item.settings);
  DIMWATCH_RETURN_IF_ERROR(settings.status());
  Writer writer;
  PutHeader(writer, Kind::kDeclaration, item.seq);
  writer.Put(*settings);
  return EncodedItem{writer.Take(), {}};
}

absl::StatusOr<EncodedItem> Encode(const SampleItem& item) {
  Writer writer;
  const bool scarce = item.scarcity != Scarcity::kNone;
  PutHeader(writer, scarce ? Kind::kScarceSamples : Kind::kSamples, item.seq);
  if (scarce) {
    writer.Put(static_cast<std::uint8_t>(item.scarcity));
    writer.Put(item.max_queries);
  }
  writer.Put(item.probe);
  writer.Put(item.step.value);
  writer.Put(static_cast<std::int32_t>(item.rank));
  writer.Put(static_cast<std::uint8_t>(item.dtype));
  writer.Put(item.rows);
  writer.Put(item.dim);
  writer.Put(static_cast<std::uint8_t>(item.snapshot_end));
  writer.Put(item.dropped_rows);
  writer.Put(item.sample_ids);
  return EncodedItem{writer.Take(), item.data};
}

absl::StatusOr<EncodedItem> Encode(const ScalarItem& item) {
  Writer writer;
  PutHeader(writer, Kind::kScalars, item.seq);
  writer.Put(item.step.value);
  writer.Put(static_cast<std::uint64_t>(item.values.size()));
  for (const auto& [name, value] : item.values) {
    writer.Put(name);
    writer.Put(value);
  }
  return EncodedItem{writer.Take(), {}};
}

absl::StatusOr<EncodedItem> Encode(const AttentionItem& item) {
  Writer writer;
  PutHeader(writer, Kind::kAttention, item.seq);
  writer.Put(item.probe);
  writer.Put(item.step.value);
  writer.Put(static_cast<std::uint8_t>(item.dtype));
  writer.Put(item.prompts);
  writer.Put(item.heads);
  writer.Put(item.positions);
  writer.Put(item.dimensions);
  writer.Put(item.prompt_ids);
  writer.Put(item.first_positions);
  writer.Put(item.query_positions);
  writer.Put(item.invalid_prompts);
  writer.Put(item.dropped_prompts);
  writer.Put(static_cast<std::uint8_t>(item.snapshot_end));
  return EncodedItem{writer.Take(), item.data};
}

std::optional<IngestItem> DecodeDeclaration(std::int64_t seq, Reader& reader) {
  std::string json;
  reader.Take(json);
  if (!reader.at_end()) return std::nullopt;
  absl::StatusOr<ProbeSettings> settings = FromJson<ProbeSettings>(json);
  if (!settings.ok()) return std::nullopt;
  return DeclarationItem{seq, *std::move(settings)};
}

std::optional<IngestItem> DecodeSamples(std::int64_t seq, Reader& reader) {
  SampleItem item;
  item.seq = seq;
  std::int32_t rank = 0;
  std::uint8_t dtype = 0;
  std::uint8_t snapshot_end = 0;
  reader.Take(item.probe);
  reader.Take(item.step.value);
  reader.Take(rank);
  reader.Take(dtype);
  reader.Take(item.rows);
  reader.Take(item.dim);
  reader.Take(snapshot_end);
  reader.Take(item.dropped_rows);
  reader.Take(item.sample_ids);
  if (!reader.ok() || dtype > static_cast<std::uint8_t>(DType::kF64)) return std::nullopt;
  item.rank = rank;
  item.dtype = static_cast<DType>(dtype);
  item.snapshot_end = snapshot_end != 0;
  item.data = reader.TakeRest();
  return item;
}

std::optional<IngestItem> DecodeScarceSamples(std::int64_t seq, Reader& reader) {
  std::uint8_t scarcity = 0;
  std::int64_t max_queries = 0;
  reader.Take(scarcity);
  reader.Take(max_queries);
  std::optional<IngestItem> item = DecodeSamples(seq, reader);
  if (!item || scarcity > static_cast<std::uint8_t>(Scarcity::kCompute)) return std::nullopt;
  auto& samples = std::get<SampleItem>(*item);
  samples.scarcity = static_cast<Scarcity>(scarcity);
  samples.max_queries = max_queries;
  return item;
}

std::optional<IngestItem> DecodeScalars(std::int64_t seq, Reader& reader) {
  ScalarItem item;
  item.seq = seq;
  std::uint64_t count = 0;
  reader.Take(item.step.value);
  reader.TakeCount(count, sizeof(std::uint64_t) + sizeof(double));
  for (; count > 0; --count) {
    std::string name;
    reader.Take(name);
    reader.Take(item.values[name]);
  }
  if (!reader.at_end()) return std::nullopt;
  return item;
}

std::optional<IngestItem> DecodeAttention(std::int64_t seq, Reader& reader) {
  AttentionItem item;
  item.seq = seq;
  std::uint8_t dtype = 0;
  std::uint8_t snapshot_end = 0;
  reader.Take(item.probe);
  reader.Take(item.step.value);
  reader.Take(dtype);
  reader.Take(item.prompts);
  reader.Take(item.heads);
  reader.Take(item.positions);
  reader.Take(item.dimensions);
  reader.Take(item.prompt_ids);
  reader.Take(item.first_positions);
  reader.Take(item.query_positions);
  reader.Take(item.invalid_prompts);
  reader.Take(item.dropped_prompts);
  reader.Take(snapshot_end);
  if (!reader.ok() || dtype > static_cast<std::uint8_t>(DType::kF64)) return std::nullopt;
  item.dtype = static_cast<DType>(dtype);
  item.snapshot_end = snapshot_end != 0;
  item.data = reader.TakeRest();
  return item;
}

}  // namespace

absl::StatusOr<EncodedItem> EncodeItem(const IngestItem& item) {
  return std::visit([](const auto& kind) { return Encode(kind); }, item);
}

std::optional<IngestItem> DecodeItem(std::string_view bytes) {
  Reader reader(bytes);
  std::uint8_t kind = 0;
  std::int64_t seq = 0;
  reader.Take(kind);
  reader.Take(seq);
  switch (static_cast<Kind>(kind)) {
    case Kind::kDeclaration:
      return DecodeDeclaration(seq, reader);
    case Kind::kSamples:
      return DecodeSamples(seq, reader);
    case Kind::kScarceSamples:
      return DecodeScarceSamples(seq, reader);
    case Kind::kScalars:
      return DecodeScalars(seq, reader);
    case Kind::kAttention:
      return DecodeAttention(seq, reader);
  }
  return std::nullopt;
}

}  // namespace dimwatch
