#include "src/base/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace dimwatch {
namespace {

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '/' ||
         c == '-';
}

}  // namespace

absl::Status ValidateName(std::string_view field, std::string_view name) {
  constexpr char kAllowed[] = "1 to 128 characters of A-Z a-z 0-9 . _ / - are allowed";
  if (name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": is empty; ", kAllowed));
  }
  if (name.size() > kMaxNameLength) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": ", Quoted(name), " has ",
                                                   name.size(), " characters; ", kAllowed));
  }
  const auto bad = std::find_if_not(name.begin(), name.end(), IsNameCharacter);
  if (bad == name.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": ", Quoted(name), " has ",
                                                 Quoted(std::string_view(&*bad, 1)), " in it; ",
                                                 kAllowed));
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 160;
  return absl::StrCat("'", absl::CHexEscape(std::string(text.substr(0, kShown))),
                      text.size() > kShown ? "..." : "", "'");
}

}  // namespace dimwatch
