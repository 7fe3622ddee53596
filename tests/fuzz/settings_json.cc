// Settings in columns of a database that somebody edited: refused, or kept as they are.
#include "src/store/settings_json.h"

#include "tests/fuzz/fuzz.h"

namespace dimwatch {
namespace {

template <typename Value>
void Try(std::string_view text) {
  const absl::StatusOr<Value> value = FromJson<Value>(text);
  if (!value.ok()) return;
  const absl::StatusOr<std::string> written = ToJson(*value);
  FUZZ_REQUIRE(written.ok());
  const absl::StatusOr<Value> again = FromJson<Value>(*written);
  FUZZ_REQUIRE(again.ok() && *ToJson(*again) == *written);
}

}  // namespace
}  // namespace dimwatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dimwatch;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Try<ProbeSettings>(text);
  Try<std::vector<ProbeSettings>>(text);
  Try<EstimatorSettings>(text);
  Try<SignalSettings>(text);
  Try<PolicySettings>(text);
  Try<std::vector<Quantile>>(text);
  Try<ScaleProfile>(text);
  Try<std::vector<SignalKind>>(text);
  Try<std::map<std::string, std::string>>(text);
  Try<std::map<std::string, double>>(text);
  return 0;
}
