// Errors on their way to a caller: absl::Status inside, grpc::Status with google.rpc details
// outside.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "grpcpp/support/status.h"

namespace dimwatch::server {

// INVALID_ARGUMENT that blames `field`, a path in the request such as "run.config.signals.warmup".
absl::Status InvalidField(absl::string_view field, absl::string_view problem);
// `status` blaming `field`; an OK status stays OK. A status that blames a field already keeps it,
// behind `field` and a dot.
absl::Status Blame(absl::string_view field, const absl::Status& status);
// The field that the status blames; empty if none.
std::string BlamedField(const absl::Status& status);

// What a caller reads: the blamed field, if any, and the message; valid UTF-8.
std::string MessageOf(const absl::Status& status);

// As RetryInfo says it. REQUIRES: 0 or more, and finite.
google::protobuf::Duration DurationToProto(absl::Duration duration);

// The same code, MessageOf and details: BadRequest for INVALID_ARGUMENT,
// QuotaFailure and, where trying again may help, RetryInfo for RESOURCE_EXHAUSTED.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace dimwatch::server
