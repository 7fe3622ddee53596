// A file of tokens: refused with a reason, or tokens that are whole, and the same when written and
// read again.
#include "src/access/token_file.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  const auto tokens = ParseTokens({reinterpret_cast<const char*>(data), size});
  if (!tokens.ok()) {
    FUZZ_REQUIRE(!tokens.status().message().empty());
    return 0;
  }
  const auto again = ParseTokens(PrintTokens(*tokens));
  FUZZ_REQUIRE(again.ok() && again->size() == tokens->size());
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const Token& before = (*tokens)[i];
    const Token& after = (*again)[i];
    FUZZ_REQUIRE(before.id.size() == 2 * kTokenIdBytes && before.sha256.size() == 64);
    FUZZ_REQUIRE(!before.projects.empty() && !before.scopes.empty());
    FUZZ_REQUIRE(after.id == before.id && after.sha256 == before.sha256);
    FUZZ_REQUIRE(after.projects == before.projects && after.scopes == before.scopes);
    FUZZ_REQUIRE(after.note == before.note);
    FUZZ_REQUIRE(after.expire_time <= before.expire_time);  // written in whole seconds
  }
  return 0;
}
