// Between the contract's messages and the core's types. Defaults are resolved on the way in and
// stated on the way out. Errors are INVALID_ARGUMENT and blame a field (errors.h), also for values
// of enums that this server does not know.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dimwatch/v1/config.pb.h"
#include "dimwatch/v1/ingest.pb.h"
#include "dimwatch/v1/query.pb.h"
#include "dimwatch/v1/result.pb.h"
#include "dimwatch/v1/run.pb.h"
#include "src/monitor/monitor.h"
#include "src/store/ingest_item.h"
#include "src/store/records.h"

namespace dimwatch::server {

// --- In: configuration (convert_config.cc) ---
absl::StatusOr<EstimatorSettings> FromProto(const v1::EstimatorConfig& config);
AttentionSettings FromProto(const v1::AttentionConfig& config);
absl::StatusOr<ProbeSettings> FromProto(const v1::ProbeConfig& config);
absl::StatusOr<SignalSettings> FromProto(const v1::SignalConfig& config);
absl::StatusOr<PolicySettings> FromProto(const v1::PolicyConfig& config);
// What CreateRun reads; times and state are left to the monitor.
absl::StatusOr<RunRecord> FromProto(const v1::Run& run);
absl::StatusOr<RunState> FromProto(v1::RunState state);
absl::StatusOr<DType> FromProto(v1::DType dtype);
// OK if they are what run.proto allows.
absl::Status ValidateDisplayName(const std::string& name);
absl::Status ValidateLabels(const std::map<std::string, std::string>& labels);

// --- In: items (convert_ingest.cc) ---
struct ConvertedItem {
  IngestItem item;
  // Scalars that are not finite and were left out; empty: none.
  std::string left_out;
};
// Moves the payload out of `request`. REQUIRES: IsNumberedItem.
absl::StatusOr<ConvertedItem> FromProto(v1::IngestRequest&& request);
// A declaration, samples, scalars or attention.
bool IsNumberedItem(const v1::IngestRequest& request);
std::int64_t SeqOf(const v1::IngestRequest& request);
// Of samples the rows, of attention the prompts.
std::int64_t RowsOf(const v1::IngestRequest& request);

// --- Out (convert_result.cc) ---
google::protobuf::Timestamp ToProto(absl::Time time);
v1::Split ToProto(Split split);
v1::EstimatorConfig ToProto(const EstimatorSettings& settings);
v1::ProbeConfig ToProto(const ProbeSettings& settings);
v1::RunConfig ConfigToProto(const RunRecord& run);
v1::RunState ToProto(RunState state);
v1::Estimate ToProto(const CloudEstimate& estimate);
v1::Estimate ToProto(const EstimateRecord& record);
v1::AttentionEstimate ToProto(const AttentionRecord& record);
v1::Scalar ToProto(const ScalarRecord& record);
v1::Signal ToProto(const Signal& signal);
v1::Signal ToProto(const SignalRecord& record);
v1::Decision ToProto(const Decision& decision, absl::Time time);
v1::SettingsChange ToProto(const SettingsRecord& record);
// The decision as a job and Prometheus see it: under SHADOW never STOP.
Decision ForJob(Decision decision);
v1::Run ToProto(const RunView& view);

}  // namespace dimwatch::server
