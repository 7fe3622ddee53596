// How admission says no.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "src/monitor/admission.h"

namespace dimwatch {

RunAdmission::Rejection Reject(absl::Status status, std::string field);

// INVALID_ARGUMENT: "<field>: <problem>".
RunAdmission::Rejection Invalid(const std::string& field, const std::string& problem);

// OK if there are no ids, or as many as `count`, none of them twice. `noun`: what each is one of,
// "row".
RunAdmission::Rejection CheckIds(const std::string& field, const std::vector<std::int64_t>& ids,
                                 std::int64_t count, const std::string& noun);

}  // namespace dimwatch
