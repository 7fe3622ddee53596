// The machine that the server runs on.
#pragma once

#include <cstdint>

namespace dimwatch::server {

// Memory in bytes: of the machine, or what its control group leaves of it.
std::int64_t MachineBytes();

}  // namespace dimwatch::server
