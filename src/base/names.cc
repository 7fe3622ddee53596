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

bool NaturalLess(std::string_view a, std::string_view b) {
  const auto digits = [](std::string_view text) {
    return std::min(text.find_first_not_of("0123456789"), text.size());
  };
  std::string_view left = a, right = b;
  while (!left.empty() && !right.empty()) {
    std::size_t left_digits = digits(left), right_digits = digits(right);
    if (left_digits == 0 || right_digits == 0) {
      if (left[0] != right[0]) return left[0] < right[0];
      left.remove_prefix(1);
      right.remove_prefix(1);
      continue;
    }
    for (; left_digits > 1 && left[0] == '0'; --left_digits) left.remove_prefix(1);
    for (; right_digits > 1 && right[0] == '0'; --right_digits) right.remove_prefix(1);
    if (left_digits != right_digits) return left_digits < right_digits;
    const int order = left.substr(0, left_digits).compare(right.substr(0, right_digits));
    if (order != 0) return order < 0;
    left.remove_prefix(left_digits);
    right.remove_prefix(right_digits);
  }
  if (left.empty() != right.empty()) return left.empty();
  return a < b;  // equal but for leading zeros
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 160;
  return absl::StrCat("'", absl::CHexEscape(std::string(text.substr(0, kShown))),
                      text.size() > kShown ? "..." : "", "'");
}

}  // namespace dimwatch
