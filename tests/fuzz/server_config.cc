// A configuration file: refused with its name, or within what every option allows.
#include "absl/strings/match.h"
#include "server/config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  using namespace dimwatch::server;
  const fuzz::MemoryFile file({reinterpret_cast<const char*>(data), size});
  const absl::StatusOr<Configured> configured = Configure(
      {"--config", file.path().string()}, [](const std::string&) { return std::nullopt; });
  if (!configured.ok()) {
    FUZZ_REQUIRE(absl::IsInvalidArgument(configured.status()));
    FUZZ_REQUIRE(!configured.status().message().empty());
    return 0;
  }
  const Config& config = configured->config;
  FUZZ_REQUIRE(config.file == file.path().string());
  FUZZ_REQUIRE(config.threads >= 0 && config.threads <= 1024);
  FUZZ_REQUIRE(config.max_batch_bytes >= 1024 && config.max_probes >= 1 && config.max_runs >= 1);
  FUZZ_REQUIRE(config.tls.certificate.empty() == config.tls.key.empty());
  FUZZ_REQUIRE(ParseAddress("--listen", config.listen).ok());
  if (config.insecure_allow_remote) return 0;
  const absl::StatusOr<Address> http = ParseAddress("--http", config.http);
  FUZZ_REQUIRE(http.ok());
  FUZZ_REQUIRE(absl::StartsWith(http->host, "127.") || http->host == "::1" ||
               http->host == "localhost");
  return 0;
}
