// Settings in columns of a database that somebody edited: refused, or kept as they are.
#include "src/store/settings_json.h"

#include <nlohmann/json.hpp>

#include "tests/fuzz/fuzz.h"

namespace dimwatch {
namespace {

using nlohmann::json;

// Whether `kept` says nothing else than `text`, which may leave out settings that are newer.
bool Agrees(const json& text, const json& kept) {
  if (kept.is_object() && text.is_object()) {
    return std::all_of(kept.items().begin(), kept.items().end(), [&](const auto& item) {
      return !text.contains(item.key()) || Agrees(text[item.key()], item.value());
    });
  }
  if (kept.is_array() && text.is_array()) {
    return kept.size() <= text.size() &&
           std::equal(kept.begin(), kept.end(), text.begin(),
                      [](const json& one, const json& other) { return Agrees(other, one); });
  }
  return kept == text;
}

template <typename Value>
void Try(std::string_view text) {
  const absl::StatusOr<Value> value = FromJson<Value>(text);
  if (!value.ok()) return;
  const absl::StatusOr<std::string> written = ToJson(*value);
  FUZZ_REQUIRE(written.ok());
  FUZZ_REQUIRE(Agrees(json::parse(text), json::parse(*written)));
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
