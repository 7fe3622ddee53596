#include "server/text.h"

#include <algorithm>

namespace dimwatch::server {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned Byte(std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

// The first continuation byte is restricted behind some lead bytes; the others are 80..BF.
bool IsSecondByte(unsigned lead, unsigned second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

std::size_t LengthByLead(unsigned lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// `character` is one well-formed sequence.
bool IsControl(std::string_view character) {
  const unsigned lead = Byte(character, 0);
  return lead < 0x20 || lead == 0x7F || (lead == 0xC2 && Byte(character, 1) < 0xA0);
}

bool IsPrintableAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::string Clean(std::string_view text, bool keep_controls) {
  if (IsPrintableAscii(text)) return std::string(text);
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    const bool good = length > 0 && (keep_controls || !IsControl(text.substr(0, length)));
    clean.append(good ? text.substr(0, length) : kReplacement);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace

std::size_t Utf8Length(std::string_view text) {
  const unsigned lead = Byte(text, 0);
  const std::size_t length = LengthByLead(lead);
  if (length == 0 || length > text.size()) return 0;
  if (length > 1 && !IsSecondByte(lead, Byte(text, 1))) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((Byte(text, i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::string ValidUtf8(std::string_view text) { return Clean(text, true); }
std::string PlainText(std::string_view text) { return Clean(text, false); }
bool IsPlainText(std::string_view text) { return PlainText(text) == text; }

}  // namespace dimwatch::server
