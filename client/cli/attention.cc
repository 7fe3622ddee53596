// dimwatch attention: the attention-graph dimension of the maps in one .npy file.
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/attention_text.h"
#include "client/cli/command.h"
#include "client/cli/text.h"
#include "src/attention/attended.h"
#include "src/attention/estimate.h"
#include "src/base/npy.h"

namespace dimwatch::cli {
namespace {

struct Options {
  std::string file;
  AttentionSettings settings;
  std::vector<std::int32_t> lengths;
  std::vector<std::int32_t> positions;
  bool left_padded = false;
  std::string pointwise;
  bool json = false;
};

// prompts x heads x positions, or maps: prompts x heads x positions x positions.
struct Shape {
  std::size_t prompts = 0;
  std::size_t heads = 0;
  std::size_t positions = 0;
  bool maps = false;
};

absl::StatusOr<Shape> ShapeOf(const NpyArray& array, const std::string& file) {
  const std::vector<std::size_t>& shape = array.shape;
  const bool maps = shape.size() == 4;
  if ((shape.size() != 3 && !maps) || (maps && shape[2] != shape[3])) {
    std::string text;
    for (const std::size_t extent : shape)
      text += (text.empty() ? "" : " x ") + std::to_string(extent);
    return absl::InvalidArgumentError(file + " is " + text +
                                      "; needed are prompts x heads x positions, or prompts x "
                                      "heads x positions x positions");
  }
  return Shape{shape[0], shape[1], shape[2], maps};
}

// Where the prompts are among the positions.
struct Spans {
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> query;
};

absl::StatusOr<Spans> SpansOf(const Options& options, const Shape& shape) {
  for (const auto* given : {&options.lengths, &options.positions}) {
    if (given->empty() || given->size() == shape.prompts) continue;
    return absl::InvalidArgumentError(
        std::string(given == &options.lengths ? "--lengths" : "--positions") + ": " +
        std::to_string(given->size()) + " given for " + std::to_string(shape.prompts) +
        " prompts; one for each is needed");
  }
  const auto all = static_cast<std::int32_t>(shape.positions);
  Spans spans;
  for (std::size_t prompt = 0; prompt < shape.prompts; ++prompt) {
    const std::int32_t length = options.lengths.empty() ? all : options.lengths[prompt];
    spans.first.push_back(options.left_padded ? all - length : 0);
    const std::int32_t end = options.left_padded ? all - 1 : length - 1;
    spans.query.push_back(options.positions.empty() ? end : options.positions[prompt]);
    if (length >= 1 && length <= all && spans.query.back() <= end &&
        spans.query.back() >= spans.first.back()) {
      continue;
    }
    return absl::InvalidArgumentError("prompt " + std::to_string(prompt) + ": length " +
                                      std::to_string(length) + " and position " +
                                      std::to_string(spans.query.back()) + " do not fit " +
                                      std::to_string(all) + " positions");
  }
  return spans;
}

// The queries' rows of whole maps.
std::string RowsOf(const NpyArray& array, const Shape& shape, const Spans& spans) {
  const std::size_t row = shape.positions * SizeOf(array.dtype);
  std::string rows;
  rows.reserve(shape.prompts * shape.heads * row);
  for (std::size_t map = 0; map < shape.prompts * shape.heads; ++map) {
    const auto query = static_cast<std::size_t>(spans.query[map / shape.heads]);
    rows.append(array.data, (map * shape.positions + query) * row, row);
  }
  return rows;
}

void Print(const AttentionEstimate& estimate) {
  std::printf("mean      %s positions that all heads together attend to\n",
              MeanText(estimate.mean, estimate.standard_error).c_str());
  if (estimate.std) std::printf("std       %.4g over the prompts\n", *estimate.std);
  if (!estimate.quantiles.empty()) {
    std::printf("quantiles");
    for (const Quantile& q : estimate.quantiles) {
      std::printf("  %g%%: %.4g", 100 * q.quantile, q.value);
    }
    std::printf("\n");
  }
  std::printf("prompts   %lld; %lld more left out, with a weight that is not finite\n",
              static_cast<long long>(estimate.prompts), static_cast<long long>(estimate.invalid));
  std::printf("settings  %s\n", CountingText(estimate.settings).c_str());
}

// One value per prompt of the file; NaN for those left out.
absl::Status WritePointwise(const std::string& file,
                            const std::vector<std::optional<std::int64_t>>& attended) {
  std::vector<double> values;
  for (const auto& dimension : attended) {
    values.push_back(dimension ? static_cast<double>(*dimension)
                               : std::numeric_limits<double>::quiet_NaN());
  }
  return WriteNpy(file, values);
}

absl::Status RunAttention(const Options& options) {
  AttentionSettings settings = options.settings;
  if (absl::Status status = Validate(settings); !status.ok()) return status;
  absl::StatusOr<NpyArray> array = ReadNpyArray(options.file);
  if (!array.ok()) return array.status();
  const absl::StatusOr<Shape> shape = ShapeOf(*array, options.file);
  if (!shape.ok()) return shape.status();
  const absl::StatusOr<Spans> spans = SpansOf(options, *shape);
  if (!spans.ok()) return spans.status();
  if (shape->maps) array->data = RowsOf(*array, *shape, *spans);
  const auto attended = CountAttended({.dtype = array->dtype,
                                       .prompts = shape->prompts,
                                       .heads = shape->heads,
                                       .positions = shape->positions,
                                       .data = array->data,
                                       .first_positions = spans->first,
                                       .query_positions = spans->query},
                                      settings);
  if (!attended.ok()) {
    return absl::InvalidArgumentError(options.file + ": " +
                                      std::string(attended.status().message()));
  }
  std::vector<PromptDimension> prompts;
  for (const auto& dimension : *attended) {
    if (dimension) prompts.push_back({static_cast<std::int64_t>(prompts.size()), *dimension});
  }
  settings.heads = static_cast<int>(shape->heads);
  const AttentionEstimate estimate = EstimateAttention(
      prompts, static_cast<std::int64_t>(shape->prompts - prompts.size()), settings);
  if (!options.pointwise.empty()) {
    if (absl::Status s = WritePointwise(options.pointwise, *attended); !s.ok()) return s;
  }
  if (options.json) {
    std::printf("%s\n", ToJson(estimate).dump().c_str());
  } else {
    Print(estimate);
  }
  return absl::OkStatus();
}

}  // namespace

void AddAttentionCommand(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "attention", "Count how many positions the attention maps of a .npy file attend to");
  command
      ->add_option("file", options->file,
                   "post-softmax weights, prompts x heads x positions x positions, or the rows of "
                   "one token per prompt, prompts x heads x positions; float16, float32 or float64")
      ->required();
  command->add_option("--epsilon", options->settings.epsilon, "weights above it count")
      ->capture_default_str();
  command->add_flag("--relative", options->settings.relative,
                    "above epsilon times the largest weight of the row");
  command
      ->add_option("--lengths", options->lengths,
                   "tokens of each prompt, with commas (default: no padding)")
      ->delimiter(',');
  command->add_flag("--left-padded", options->left_padded, "the padding is before the tokens");
  command
      ->add_option("--positions", options->positions,
                   "the token of each prompt whose row counts, with commas (default: its last)")
      ->delimiter(',');
  command->add_option("--pointwise", options->pointwise,
                      "write the dimension of every prompt here, as .npy; NaN where there is none");
  command->add_flag("--json", options->json, "one JSON object");
  command->callback([options, &action] { action = [options] { return RunAttention(*options); }; });
}

}  // namespace dimwatch::cli
