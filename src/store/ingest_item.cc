#include "src/store/ingest_item.h"

namespace dimwatch {
namespace {

std::int64_t Size(const std::string& text) {
  return static_cast<std::int64_t>(sizeof(std::string) + text.size());
}

struct Bytes {
  std::int64_t operator()(const DeclarationItem& item) const {
    return Size(item.settings.identity.name) + Size(item.settings.identity.layer);
  }
  std::int64_t operator()(const SampleItem& item) const {
    return Size(item.probe) + Size(item.data) +
           static_cast<std::int64_t>(item.sample_ids.size() * sizeof(std::int64_t));
  }
  std::int64_t operator()(const ScalarItem& item) const {
    std::int64_t sum = 0;
    for (const auto& [name, value] : item.values) sum += Size(name) + kMapNode;
    return sum;
  }
  std::int64_t operator()(const AttentionItem& item) const {
    const std::size_t numbers = item.dimensions.size() + item.prompt_ids.size();
    const std::size_t positions = item.first_positions.size() + item.query_positions.size();
    return Size(item.probe) + Size(item.data) +
           static_cast<std::int64_t>(numbers * sizeof(std::int64_t) +
                                     positions * sizeof(std::int32_t));
  }
  static constexpr std::int64_t kMapNode = 48;  // links, color and value of a node
};

}  // namespace

AttentionRows AttentionRowsOf(const AttentionItem& item) {
  return {.dtype = item.dtype,
          .prompts = static_cast<std::size_t>(item.prompts),
          .heads = static_cast<std::size_t>(item.heads),
          .positions = static_cast<std::size_t>(item.positions),
          .data = item.data,
          .first_positions = item.first_positions,
          .query_positions = item.query_positions};
}

std::int64_t SeqOf(const IngestItem& item) {
  return std::visit([](const auto& kind) { return kind.seq; }, item);
}

std::int64_t BytesOf(const IngestItem& item) {
  return static_cast<std::int64_t>(sizeof(IngestItem)) + std::visit(Bytes{}, item);
}

}  // namespace dimwatch
