#include "server/version.h"

#include "absl/strings/str_cat.h"

namespace dimwatch::server {

absl::string_view Version() { return DIMWATCH_VERSION; }
absl::string_view Revision() { return DIMWATCH_REVISION; }

std::string VersionLine() {
  return absl::StrCat("dimwatch-server ", Version(),
                      Revision().empty() ? "" : absl::StrCat(" (", Revision(), ")"));
}

}  // namespace dimwatch::server
