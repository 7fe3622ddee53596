// A configuration file: refused with its name, or within what every option allows.
#include <arpa/inet.h>

#include "server/config.h"
#include "tests/fuzz/fuzz.h"

namespace dimwatch::server {
namespace {

bool IsWithin(std::int64_t value, std::int64_t low, std::int64_t high) {
  return value >= low && value <= high;
}

void CheckRanges(const Config& config) {
  constexpr std::int64_t kMiB = 1 << 20;
  FUZZ_REQUIRE(IsWithin(config.threads, 0, 1024));
  FUZZ_REQUIRE(IsWithin(config.max_batch_bytes, 1024, kMiB << 10));
  FUZZ_REQUIRE(IsWithin(config.max_queue_bytes, 1024, kMiB << 20));
  FUZZ_REQUIRE(IsWithin(config.max_window_bytes, kMiB, kMiB << 20));
  FUZZ_REQUIRE(IsWithin(config.max_memory_bytes, 0, kMiB << 20));
  FUZZ_REQUIRE(IsWithin(config.soft_memory_bytes, 0, kMiB << 20));
  FUZZ_REQUIRE(IsWithin(config.max_runs, 1, 1'000'000));
  FUZZ_REQUIRE(IsWithin(config.max_probes, 1, 10'000));
  FUZZ_REQUIRE(IsWithin(config.max_series, 1, 10'000'000));
  FUZZ_REQUIRE(IsWithin(config.retention_days, 0, kMaxRetentionDays));
}

// Whether others than this machine could reach it.
bool IsRemote(const std::string& option, const std::string& text) {
  const absl::StatusOr<Address> address = ParseAddress(option, text);
  FUZZ_REQUIRE(address.ok());
  in_addr v4 = {};
  if (inet_aton(address->host.c_str(), &v4) != 0) return ntohl(v4.s_addr) >> 24 != 127;
  return address->host != "::1" && address->host != "localhost";
}

}  // namespace
}  // namespace dimwatch::server

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
  CheckRanges(config);
  FUZZ_REQUIRE(config.tls.certificate.empty() == config.tls.key.empty());
  if (config.insecure_allow_remote) return 0;
  FUZZ_REQUIRE(!IsRemote("--http", config.http));
  const bool secure = !config.tls.certificate.empty() && !config.tokens.empty();
  FUZZ_REQUIRE(secure || !IsRemote("--listen", config.listen));
  return 0;
}
