// The course of a run in the text format of OpenMetrics 1.0, as `promtool tsdb create-blocks-from
// openmetrics` takes it: names, labels and values as the server exported them on /metrics
// (docs/metrics.md), each sample at the time when the server computed it.
//
// Scalars are not part of it: the server does not keep when they were reported.
#pragma once

#include <string>
#include <vector>

#include "dimwatch/v1/query.pb.h"

namespace dimwatch::cli {

// What is known of one run.
struct RunHistory {
  std::string run_id;
  std::string project;
  std::vector<v1::Estimate> estimates;
  std::vector<v1::AttentionEstimate> attention;
  std::vector<v1::Scalar> scalars;
  std::vector<v1::Signal> signals;
  std::vector<v1::Decision> decisions;
  std::vector<v1::SettingsChange> settings;
};

std::string ToOpenMetrics(const RunHistory& history);

}  // namespace dimwatch::cli
