// What lies where in a server's data folder.
#pragma once

#include <filesystem>

namespace dimwatch {

struct DataFiles {
  std::filesystem::path folder;

  std::filesystem::path database() const { return folder / "dimwatch.db"; }
  std::filesystem::path logs() const { return folder / "runs"; }
  std::filesystem::path engine_costs() const { return folder / "engine-costs.json"; }
};

}  // namespace dimwatch
