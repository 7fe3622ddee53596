// The file of tokens: JSON that `dimwatch token` writes and the server reads.
//
//   {"tokens": [{"id": "0123456789ab", "sha256": "...", "projects": ["emotion"],
//                "scopes": ["ingest", "read"], "create_time": "2026-11-22T09:00:00Z",
//                "expire_time": "2027-02-20T09:00:00Z", "note": "nightly jobs"}]}
//
// "projects": ["*"] is every project; without "expire_time" a token never expires.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/access/token.h"

namespace dimwatch {

// INVALID_ARGUMENT says which token is wrong and why: what is not understood never widens what a
// token allows. REQUIRES for printing: what parsing accepts.
absl::StatusOr<std::vector<Token>> ParseTokens(std::string_view json);
std::string PrintTokens(const std::vector<Token>& tokens);

// NOT_FOUND without the file; other errors name it.
absl::StatusOr<std::vector<Token>> ReadTokens(const std::filesystem::path& file);

// Reads the file (none: no tokens), lets `edit` change them, and replaces it at once: a reader sees
// the old or the new file, whole, and of two that edit at the same time the second waits. Keeps
// owner and mode; a new file is for its owner alone.
absl::Status EditTokens(const std::filesystem::path& file,
                        const std::function<absl::Status(std::vector<Token>&)>& edit);

}  // namespace dimwatch
