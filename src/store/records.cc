#include "src/store/records.h"

namespace dimwatch {

std::string_view Name(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "RUNNING";
    case RunState::kFinished:
      return "FINISHED";
    case RunState::kFailed:
      return "FAILED";
    case RunState::kStale:
      return "STALE";
  }
  return "";
}

}  // namespace dimwatch
