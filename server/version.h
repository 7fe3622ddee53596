// What was built.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace dimwatch::server {

absl::string_view Version();
// The commit; empty if unknown.
absl::string_view Revision();
// "GNU 12.2.0".
absl::string_view Compiler();
// Of the library that is loaded, "1.51.1".
std::string GrpcVersion();
// "dimwatch-server 0.1.0 (1a2b3c4), GNU 12.2.0, gRPC 1.51.1".
std::string VersionLine();

}  // namespace dimwatch::server
