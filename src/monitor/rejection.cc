#include "src/monitor/rejection.h"

#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dimwatch {

RunAdmission::Rejection Reject(absl::Status status, std::string field) {
  return {std::move(status), std::move(field), false};
}

RunAdmission::Rejection Invalid(const std::string& field, const std::string& problem) {
  return Reject(absl::InvalidArgumentError(absl::StrCat(field, ": ", problem)), field);
}

RunAdmission::Rejection CheckIds(const std::string& field, const std::vector<std::int64_t>& ids,
                                 std::int64_t count, const std::string& noun) {
  if (ids.empty()) return {};
  if (static_cast<std::int64_t>(ids.size()) != count) {
    return Invalid(
        field, absl::StrCat(ids.size(), " got; allowed are none, or one for each of the ", count,
                            " ", noun, "s"));
  }
  std::unordered_set<std::int64_t> seen;
  for (const std::int64_t id : ids) {
    if (!seen.insert(id).second) {
      return Invalid(field, absl::StrCat(id, " got twice; each ", noun, " needs an id of its own"));
    }
  }
  return {};
}

}  // namespace dimwatch
