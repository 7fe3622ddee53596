// A path, parameters and an authorization over HTTP: a reply that a client can read, and nothing of
// a project that the token is not for.
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/fuzz/messages.h"
#include "tests/fuzz/served.h"

namespace dimwatch::server {
namespace {

std::string Authorization(fuzz::Choices& choices, const Served& served) {
  switch (choices.Below(4)) {
    case 0:
      return "Bearer " + served.every_token();
    case 1:
      return std::string(choices.Take(choices.Byte()));
    default:
      return "Bearer " + served.open_token();
  }
}

// NAME=VALUE&..., as it is: percent signs of parameters are httplib's.
HttpParameters Parameters(std::string_view text) {
  HttpParameters parameters;
  if (text.empty()) return parameters;
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '&')) {
    parameters.insert(absl::StrSplit(part, absl::MaxSplits('=', 1)));
  }
  return parameters;
}

void Check(const HttpReply& reply, bool may_see) {
  FUZZ_REQUIRE(reply.status != 500 && reply.status != 0);
  FUZZ_REQUIRE(may_see || !absl::StrContains(reply.body, kHidden));
  if (reply.type == "application/json") FUZZ_REQUIRE(nlohmann::json::accept(reply.body));
}

}  // namespace
}  // namespace dimwatch::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::server;
  fuzz::SilenceProtobuf();
  Served& served = Served::Instance();
  fuzz::Choices choices(data, size);
  const std::string authorization = Authorization(choices, served);
  const std::string_view target = choices.Take(size);
  const std::size_t query = std::min(target.find('?'), target.size());
  const std::string_view path = target.substr(0, query);
  const HttpReply reply =
      served.api->Get({path.data(), path.size()},
                      Parameters(target.substr(std::min(query + 1, target.size()))), authorization);
  // An error says the path back.
  const bool knew = target.find(kHidden) != std::string_view::npos;
  Check(reply, knew || authorization == "Bearer " + served.every_token());
  return 0;
}
