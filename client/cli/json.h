// One JSON vocabulary for everything that the command prints, whether it was computed here or came
// from a server: type, step and names first; signal names in lower case, states and decisions in
// capitals; what is undefined is null.
#pragma once

#include <nlohmann/json.hpp>

#include "dimwatch/v1/query.pb.h"
#include "src/store/records.h"

namespace dimwatch::cli {

using Json = nlohmann::ordered_json;

// The keys of `dimwatch estimate --json`.
Json ToJson(const CloudEstimate& estimate);

// {"type":"estimate","step","probe","mean","standard_error",...}. Without `seconds` and the time:
// what is replayed twice is the same twice.
Json ToJson(const EstimateRecord& record);
Json ToJson(const Signal& signal);
Json ToJson(const Decision& decision);

// The same lines, with `seconds` and `time`.
Json ToJson(const v1::Estimate& estimate);
Json ToJson(const v1::Signal& signal);
Json ToJson(const v1::Decision& decision);
// {"type":"settings","step","author","changed":{"signals.patience":{"old":3,"new":5}},"time"}.
Json ToJson(const v1::SettingsChange& change);
// The parameters by their names in config.proto.
Json ToJson(const v1::SignalConfig& config);
Json ToJson(const v1::PolicyConfig& config);
Json ScalarJson(std::int64_t step, const std::string& name, double value);
Json RewindJson(std::int64_t step, const std::string& series);
Json StateJson(v1::RunState state);
// A run with its parameters, newest estimates, signals and decision.
Json ToJson(const v1::Run& run);

// "twonn-global", "paper", "FIRING", "STOP", "RUNNING": as the core writes them.
std::string EnumName(v1::Estimator estimator);
std::string EnumName(v1::Cdf cdf);
std::string EnumName(v1::Fit fit);
std::string EnumName(v1::IndexKind index);
std::string EnumName(v1::SignalState state);
std::string EnumName(v1::Verdict verdict);
std::string EnumName(v1::RunState state);
std::string EnumName(v1::PolicyMode mode);
// RFC 3339 in UTC with milliseconds; empty for none.
std::string TimeText(const google::protobuf::Timestamp& time);

}  // namespace dimwatch::cli
