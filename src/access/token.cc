#include "src/access/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace dimwatch {
namespace {

constexpr std::string_view kPrefix = "dimwatch_";

bool IsHex(std::string_view text, std::size_t bytes) {
  return text.size() == 2 * bytes && std::ranges::all_of(text, [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

std::string Hex(const unsigned char* bytes, std::size_t size) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

}  // namespace

std::string_view Name(Scope scope) {
  switch (scope) {
    case Scope::kIngest:
      return "ingest";
    case Scope::kRead:
      return "read";
    case Scope::kAdmin:
      return "admin";
  }
  return "";
}

bool Token::Allows(Scope scope) const {
  return scopes.contains(scope) || scopes.contains(Scope::kAdmin);
}

bool Token::Covers(const std::string& project) const {
  return projects.contains(project) || projects.contains(kAllProjects);
}

std::string TokenText(const TokenEntropy& entropy) {
  return absl::StrCat(std::string(kPrefix), Hex(entropy.data(), kTokenIdBytes), "_",
                      Hex(entropy.data() + kTokenIdBytes, kTokenSecretBytes));
}

std::optional<std::string> IdIn(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const std::string_view id = text.substr(0, 2 * kTokenIdBytes);
  if (!IsHex(id, kTokenIdBytes)) return std::nullopt;
  text.remove_prefix(id.size());
  if (!text.starts_with('_') || !IsHex(text.substr(1), kTokenSecretBytes)) return std::nullopt;
  return std::string(id);
}

std::string Sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return Hex(digest.data(), size);
}

bool IsTextOf(const Token& token, std::string_view text) {
  const std::string sha256 = Sha256(text);
  return sha256.size() == token.sha256.size() &&
         CRYPTO_memcmp(sha256.data(), token.sha256.data(), sha256.size()) == 0;
}

}  // namespace dimwatch
