// The configuration file of a replay.
#include "client/cli/replay_config.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  // toml++ 3.3 asks some letters outside of text whether they are a space, and has no answer.
  if (std::any_of(data, data + size, [](std::uint8_t byte) { return byte >= 0x80; })) return 0;
  const fuzz::MemoryFile file({reinterpret_cast<const char*>(data), size});
  const absl::StatusOr<cli::ReplayConfig> config = cli::ReadReplayConfig(file.path());
  if (!config.ok()) {
    FUZZ_REQUIRE(absl::IsInvalidArgument(config.status()));
    FUZZ_REQUIRE(!config.status().message().empty());
    return 0;
  }
  for (const cli::ReplayConfig::Probe& probe : config->probes) {
    const std::string& name = probe.settings.identity.name;
    FUZZ_REQUIRE(!name.empty() && config->ProbeNamed(name).settings.identity.name == name);
  }
  return 0;
}
