// Text from outside on its way to a page, a label or a message.
#pragma once

#include <string>
#include <string_view>

namespace dimwatch::server {

// Length of the well-formed UTF-8 sequence that `text` begins with (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF), 0 if there is none. REQUIRES: not empty.
std::size_t Utf8Length(std::string_view text);
// `text` with every byte that is not part of well-formed UTF-8 replaced by U+FFFD.
std::string ValidUtf8(std::string_view text);
// The same on one line: control characters (C0, DEL, C1) are replaced too.
std::string PlainText(std::string_view text);
// True for well-formed UTF-8 without control characters.
bool IsPlainText(std::string_view text);

}  // namespace dimwatch::server
