// What was built.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace dimwatch::server {

absl::string_view Version();
// The commit; empty if unknown.
absl::string_view Revision();
// "dimwatch-server 0.1.0 (1a2b3c4)".
std::string VersionLine();

}  // namespace dimwatch::server
