// Scale profiles as they are printed.
#pragma once

#include <string>

#include "client/cli/json.h"
#include "src/lid/scale_profile.h"

namespace dimwatch::cli {

ScaleProfile FromProto(const v1::ScaleProfile& profile);

// A table of both curves, with errors and a chart of the dimension.
std::string ScaleText(const ScaleProfile& profile, bool colored);

// {"gride":[{"neighbors","parts","points","distance","dimension","standard_error"},...],"twonn"}.
Json ToJson(const ScaleProfile& profile);
// {"type":"scale_profile","step","probe",...} with what is needed to judge it. REQUIRES: the
// estimate has one.
Json ScaleJson(const EstimateRecord& record);
Json ScaleJson(const v1::Estimate& estimate);

}  // namespace dimwatch::cli
