// Tokens: secrets that callers send, and what each of them allows.
//
// The text of a token is "dimwatch_ID_SECRET": an id of 12 hexadecimal digits that may stand in
// logs, and 256 random bits as 64 digits. Whoever checks tokens keeps the SHA-256 of the text
// alone. Nobody can guess 256 random bits from it, so the slow hashes that passwords need would
// only make every request slow.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace dimwatch {

enum class Scope { kIngest, kRead, kAdmin };
inline constexpr std::array kScopes = {Scope::kIngest, Scope::kRead, Scope::kAdmin};
// "ingest", "read", "admin".
std::string_view Name(Scope scope);

// In Token::projects: every project. No project has this name.
inline constexpr char kAllProjects[] = "*";

// What is kept of a token.
struct Token {
  std::string id;
  std::string sha256;  // of the text, 64 hexadecimal digits
  std::set<std::string> projects;
  std::set<Scope> scopes;
  absl::Time create_time;
  absl::Time expire_time = absl::InfiniteFuture();
  std::string note;  // for people

  // kAdmin includes the other scopes.
  bool Allows(Scope scope) const;
  bool Covers(const std::string& project) const;

  friend bool operator==(const Token&, const Token&) = default;
};

// Random bytes that a token is made of: its id, then its secret.
inline constexpr std::size_t kTokenIdBytes = 6;
inline constexpr std::size_t kTokenSecretBytes = 32;
using TokenEntropy = std::array<unsigned char, kTokenIdBytes + kTokenSecretBytes>;

// The text of a new token; the only place where it exists.
std::string TokenText(const TokenEntropy& entropy);

// The id in a token's text; none if it is not the text of a token.
std::optional<std::string> IdIn(std::string_view text);

// As in Token::sha256.
std::string Sha256(std::string_view text);

// Whether `text` is the token's. Takes the same time for every text of the same length.
bool IsTextOf(const Token& token, std::string_view text);

}  // namespace dimwatch
