// Courses of runs as readable text, and what RunJudge makes of them. scenarios/README.md tells the
// format.
#pragma once

#include <filesystem>
#include <string>

namespace dimwatch {

// Plays a scenario and returns it with its expected parts replaced by what came out: equal to
// `text` if everything came as expected. Files that it replays are looked up in `folder`. A line
// that cannot be read ends in a thrown std::invalid_argument.
std::string PlayScenario(const std::string& text, const std::filesystem::path& folder);

}  // namespace dimwatch
