#include "server/version.h"

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"

namespace dimwatch::server {

absl::string_view Version() { return DIMWATCH_VERSION; }
absl::string_view Revision() { return DIMWATCH_REVISION; }
absl::string_view Compiler() { return DIMWATCH_COMPILER; }
std::string GrpcVersion() { return grpc::Version(); }

std::string VersionLine() {
  return absl::StrCat("dimwatch-server ", Version(),
                      Revision().empty() ? "" : absl::StrCat(" (", Revision(), ")"), ", ",
                      Compiler(), ", gRPC ", GrpcVersion());
}

}  // namespace dimwatch::server
