#include "client/cli/trace.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace dimwatch::cli {
namespace {

using Json = nlohmann::json;

absl::Status ParseScalars(const Json& scalars, TraceStep& step) {
  if (!scalars.is_object()) return absl::InvalidArgumentError("`scalars` must be an object");
  for (const auto& [name, value] : scalars.items()) {
    if (value.is_null()) continue;
    if (!value.is_number()) {
      return absl::InvalidArgumentError("scalar '" + name + "' must be a number, got " +
                                        value.dump());
    }
    step.scalars[name] = value.get<double>();
  }
  return absl::OkStatus();
}

absl::Status ParseSamples(const Json& samples, const std::filesystem::path& folder,
                          TraceStep& step) {
  if (!samples.is_array()) return absl::InvalidArgumentError("`samples` must be an array");
  for (const Json& sample : samples) {
    const bool sound = sample.is_object() && sample.contains("probe") &&
                       sample["probe"].is_string() && sample.contains("file") &&
                       sample["file"].is_string();
    if (!sound) {
      return absl::InvalidArgumentError("a sample must be {\"probe\": name, \"file\": name}, got " +
                                        sample.dump());
    }
    step.samples.push_back(
        {sample["probe"].get<std::string>(), folder / sample["file"].get<std::string>()});
  }
  return absl::OkStatus();
}

TraceAttention ReadAttention(const Json& entry, const std::filesystem::path& folder) {
  TraceAttention attention;
  entry.at("probe").get_to(attention.probe);
  attention.settings.epsilon = entry.value("epsilon", attention.settings.epsilon);
  attention.settings.relative = entry.value("relative", false);
  attention.ids = entry.value("ids", attention.ids);
  if (entry.contains("file")) {
    attention.file = folder / entry.at("file").get<std::string>();
    attention.first_positions = entry.value("first_positions", attention.first_positions);
    attention.query_positions = entry.value("query_positions", attention.query_positions);
    return attention;
  }
  entry.at("dimensions").get_to(attention.dimensions);
  entry.at("heads").get_to(attention.settings.heads);
  entry.at("positions").get_to(attention.positions);
  attention.invalid = entry.value("invalid", std::int64_t{0});
  return attention;
}

absl::Status ParseAttention(const Json& entries, const std::filesystem::path& folder,
                            TraceStep& step) {
  if (!entries.is_array()) return absl::InvalidArgumentError("`attention` must be an array");
  for (const Json& entry : entries) {
    try {
      step.attention.push_back(ReadAttention(entry, folder));
    } catch (const Json::exception&) {
      return absl::InvalidArgumentError(
          "attention must be {\"probe\", \"file\"} or {\"probe\", \"dimensions\", \"heads\", "
          "\"positions\"}, got " +
          entry.dump());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TraceStep> ParseLine(const std::string& text, const std::filesystem::path& folder) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(std::string("no JSON: ") + error.what());
  }
  if (!json.is_object()) return absl::InvalidArgumentError("a JSON object is expected");
  if (!json.contains("step")) return absl::InvalidArgumentError("`step` is missing");
  if (!json["step"].is_number_integer() || json["step"] < 0) {
    return absl::InvalidArgumentError("`step` must be an integer, 0 or greater, got " +
                                      json["step"].dump());
  }
  TraceStep step;
  step.step = Step{json["step"].get<std::int64_t>()};
  absl::Status status;
  if (json.contains("scalars")) status = ParseScalars(json["scalars"], step);
  if (status.ok() && json.contains("samples")) {
    status = ParseSamples(json["samples"], folder, step);
  }
  if (status.ok() && json.contains("attention")) {
    status = ParseAttention(json["attention"], folder, step);
  }
  if (!status.ok()) return status;
  return step;
}

}  // namespace

absl::StatusOr<std::vector<TraceStep>> ReadTrace(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "trace.jsonl";
  std::ifstream stream(file);
  if (!stream) {
    return absl::NotFoundError("no trace in '" + folder.string() + "': cannot read " +
                               file.string());
  }
  std::vector<TraceStep> steps;
  std::string text;
  for (int line = 1; std::getline(stream, text); ++line) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    absl::StatusOr<TraceStep> step = ParseLine(text, folder);
    if (!step.ok()) {
      return absl::InvalidArgumentError(file.string() + ":" + std::to_string(line) + ": " +
                                        std::string(step.status().message()));
    }
    step->line = line;
    if (!steps.empty() && steps.back().step == step->step) {
      for (const auto& [name, value] : step->scalars) steps.back().scalars[name] = value;
      steps.back().samples.insert(steps.back().samples.end(), step->samples.begin(),
                                  step->samples.end());
      steps.back().attention.insert(steps.back().attention.end(), step->attention.begin(),
                                    step->attention.end());
    } else {
      steps.push_back(*std::move(step));
    }
  }
  if (stream.bad()) return absl::InternalError("cannot read " + file.string());
  if (steps.empty()) return absl::InvalidArgumentError(file.string() + " is empty");
  return steps;
}

}  // namespace dimwatch::cli
