#include "server/engine_costs.h"

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>

#include "absl/time/clock.h"

namespace dimwatch::server {
namespace {

using nlohmann::json;

// As the system names it.
std::string Processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name") || line.starts_with("CPU part")) {
      return line.substr(line.find(':') + 1);
    }
  }
  return "";
}

std::optional<EngineCosts> Read(const std::filesystem::path& file, const std::string& processor) {
  try {
    const json from = json::parse(std::ifstream(file));
    if (from.at("processor") != processor) return std::nullopt;
    return EngineCosts{.exact_pair = from.at("exact_pair_ns"),
                       .exact_component = from.at("exact_component_ns"),
                       .graph_row = from.at("graph_row_ns"),
                       .graph_component = from.at("graph_component_ns")};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

void Write(const std::filesystem::path& file, const std::string& processor,
           const EngineCosts& costs) {
  const json text = {{"processor", processor},
                     {"exact_pair_ns", costs.exact_pair},
                     {"exact_component_ns", costs.exact_component},
                     {"graph_row_ns", costs.graph_row},
                     {"graph_component_ns", costs.graph_component}};
  std::filesystem::path fresh = file;
  fresh += ".new";
  std::ofstream(fresh) << text.dump(2) << '\n';
  std::error_code ignored;
  std::filesystem::rename(fresh, file, ignored);
}

}  // namespace

absl::Time ThreadClock::Now() const { return absl::Now(); }

absl::Duration ThreadClock::Monotonic() const {
  std::timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

KnownCosts LoadOrMeasure(const std::filesystem::path& file, const Clock& clock) {
  const std::string processor = Processor();
  if (const std::optional<EngineCosts> kept = Read(file, processor)) return {.costs = *kept};
  const KnownCosts found = {.costs = MeasureEngineCosts(clock), .measured = true};
  Write(file, processor, found.costs);
  return found;
}

}  // namespace dimwatch::server
