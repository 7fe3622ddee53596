#include "server/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace dimwatch::server {

std::int64_t MachineBytes() {
  const std::int64_t all =
      std::int64_t{sysconf(_SC_PHYS_PAGES)} * std::int64_t{sysconf(_SC_PAGESIZE)};
  std::ifstream group("/sys/fs/cgroup/memory.max");  // "max", or bytes
  std::int64_t allowed = 0;
  return group >> allowed && allowed > 0 ? std::min(all, allowed) : all;
}

}  // namespace dimwatch::server
