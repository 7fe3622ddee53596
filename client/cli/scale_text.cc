#include "client/cli/scale_text.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "client/cli/text.h"

namespace dimwatch::cli {
namespace {

constexpr std::size_t kBarWidth = 30;

std::vector<ScalePoint> FromProto(const google::protobuf::RepeatedPtrField<v1::ScalePoint>& from) {
  std::vector<ScalePoint> curve;
  for (const v1::ScalePoint& point : from) {
    ScalePoint& added = curve.emplace_back();
    added.neighbors = point.neighbors();
    added.parts = point.parts();
    added.points = point.points();
    added.distance = point.distance();
    if (point.has_dimension()) added.dimension = point.dimension();
    if (point.has_standard_error()) added.standard_error = point.standard_error();
  }
  return curve;
}

Json OrNull(const std::optional<double>& value) {
  return value.has_value() ? Json(*value) : Json(nullptr);
}

Json ToJson(const std::vector<ScalePoint>& curve) {
  Json json = Json::array();
  for (const ScalePoint& point : curve) {
    json.push_back({{"neighbors", point.neighbors},
                    {"parts", point.parts},
                    {"points", point.points},
                    {"distance", point.distance},
                    {"dimension", OrNull(point.dimension)},
                    {"standard_error", OrNull(point.standard_error)}});
  }
  return json;
}

std::string DistanceText(double distance) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", distance);
  return text;
}

void AddCurve(const std::string& name, const std::vector<ScalePoint>& curve, double highest,
              Table& table) {
  for (const ScalePoint& point : curve) {
    table.Add({name, std::to_string(point.neighbors / 2) + " : " + std::to_string(point.neighbors),
               std::to_string(point.points), std::to_string(point.parts),
               DistanceText(point.distance), MeanText(point.dimension, point.standard_error),
               point.dimension && highest > 0 ? Bar(*point.dimension / highest, kBarWidth) : ""});
  }
}

}  // namespace

ScaleProfile FromProto(const v1::ScaleProfile& profile) {
  return {.gride = FromProto(profile.gride()), .twonn = FromProto(profile.twonn())};
}

std::string ScaleText(const ScaleProfile& profile, bool colored) {
  double highest = 0;
  for (const std::vector<ScalePoint>* curve : {&profile.gride, &profile.twonn}) {
    for (const ScalePoint& point : *curve) {
      highest = std::max(highest, point.dimension.value_or(0));
    }
  }
  Table table({"CURVE", "RANKS", "POINTS", "PARTS", "DISTANCE", "DIMENSION (± s.e.)", ""});
  AddCurve("gride", profile.gride, highest, table);
  AddCurve("twonn", profile.twonn, highest, table);
  return table.ToString(colored);
}

Json ToJson(const ScaleProfile& profile) {
  Json json;
  json["gride"] = ToJson(profile.gride);
  json["twonn"] = ToJson(profile.twonn);
  return json;
}

Json ScaleJson(const EstimateRecord& record) {
  Json json = {{"type", "scale_profile"},
               {"step", record.step.value},
               {"probe", record.probe},
               {"complete", record.complete},
               {"window_fill", record.window_fill},
               {"n_points", record.estimate.points},
               {"max_points", record.estimate.settings.max_points},
               {"seed", record.estimate.settings.seed}};
  json.update(ToJson(*record.scale_profile));
  return json;
}

Json ScaleJson(const v1::Estimate& estimate) {
  Json json = {{"type", "scale_profile"},
               {"step", estimate.step()},
               {"probe", estimate.probe()},
               {"complete", estimate.complete()},
               {"window_fill", estimate.window_fill()},
               {"n_points", estimate.points()},
               {"max_points", estimate.config().max_points()},
               {"seed", estimate.config().seed()}};
  json.update(ToJson(FromProto(estimate.scale_profile())));
  return json;
}

}  // namespace dimwatch::cli
