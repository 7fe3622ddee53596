#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/convert.h"
#include "server/errors.h"
#include "src/base/names.h"

namespace dimwatch::server {
namespace {

using Kind = v1::IngestRequest::ItemCase;

absl::StatusOr<ConvertedItem> Convert(const v1::ProbeDeclaration& declaration) {
  absl::StatusOr<ProbeSettings> settings = FromProto(declaration.config());
  if (!settings.ok()) return Blame("config", settings.status());
  return ConvertedItem{DeclarationItem{declaration.seq(), *std::move(settings)}, ""};
}

absl::StatusOr<ConvertedItem> Convert(v1::SampleBatch& batch) {
  const absl::StatusOr<DType> dtype = FromProto(batch.dtype());
  if (!dtype.ok()) return dtype.status();
  SampleItem item;
  item.seq = batch.seq();
  item.probe = std::move(*batch.mutable_probe());
  item.step = Step{batch.step()};
  item.rank = batch.rank();
  item.dtype = *dtype;
  item.rows = batch.rows();
  item.dim = batch.dim();
  item.data = std::move(*batch.mutable_data());
  item.sample_ids = {batch.sample_ids().begin(), batch.sample_ids().end()};
  item.snapshot_end = batch.snapshot_end();
  item.dropped_rows = batch.dropped_rows();
  return ConvertedItem{std::move(item), ""};
}

absl::StatusOr<ConvertedItem> Convert(v1::AttentionBatch& batch) {
  AttentionItem item;
  if (!batch.data().empty()) {
    const absl::StatusOr<DType> dtype = FromProto(batch.dtype());
    if (!dtype.ok()) return dtype.status();
    item.dtype = *dtype;
  }
  item.seq = batch.seq();
  item.probe = std::move(*batch.mutable_probe());
  item.step = Step{batch.step()};
  item.prompts = batch.prompts();
  item.heads = batch.heads();
  item.positions = batch.positions();
  item.data = std::move(*batch.mutable_data());
  item.dimensions = {batch.dimensions().begin(), batch.dimensions().end()};
  item.prompt_ids = {batch.prompt_ids().begin(), batch.prompt_ids().end()};
  item.first_positions = {batch.first_positions().begin(), batch.first_positions().end()};
  item.query_positions = {batch.query_positions().begin(), batch.query_positions().end()};
  item.invalid_prompts = batch.invalid_prompts();
  item.dropped_prompts = batch.dropped_prompts();
  item.snapshot_end = batch.snapshot_end();
  return ConvertedItem{std::move(item), ""};
}

absl::StatusOr<ConvertedItem> Convert(const v1::ScalarBatch& batch) {
  ScalarItem item{batch.seq(), Step{batch.step()}, {}};
  std::vector<std::string> left_out;
  for (const auto& [name, value] : batch.values()) {
    if (std::isfinite(value)) {
      item.values[name] = value;
    } else {
      left_out.push_back(absl::StrCat(Quoted(name), " is ", value));
    }
  }
  const std::string reason = left_out.empty() ? ""
                                              : absl::StrCat(absl::StrJoin(left_out, ", "),
                                                             "; only finite values are kept");
  if (item.values.empty() && !left_out.empty()) return InvalidField("values", reason);
  return ConvertedItem{std::move(item), reason};
}

}  // namespace

absl::StatusOr<ConvertedItem> FromProto(v1::IngestRequest&& request) {
  switch (request.item_case()) {
    case Kind::kDeclaration:
      return Convert(request.declaration());
    case Kind::kSamples:
      return Convert(*request.mutable_samples());
    case Kind::kScalars:
      return Convert(request.scalars());
    default:
      return Convert(*request.mutable_attention());
  }
}

bool IsNumberedItem(const v1::IngestRequest& request) {
  return request.item_case() != Kind::kHello && request.item_case() != Kind::ITEM_NOT_SET;
}

std::int64_t SeqOf(const v1::IngestRequest& request) {
  switch (request.item_case()) {
    case Kind::kDeclaration:
      return request.declaration().seq();
    case Kind::kSamples:
      return request.samples().seq();
    case Kind::kScalars:
      return request.scalars().seq();
    case Kind::kAttention:
      return request.attention().seq();
    default:
      return 0;
  }
}

std::int64_t RowsOf(const v1::IngestRequest& request) {
  switch (request.item_case()) {
    case Kind::kSamples:
      return request.samples().rows();
    case Kind::kAttention:
      return request.attention().prompts();
    default:
      return 0;
  }
}

}  // namespace dimwatch::server
